"""`hit_rate`: the share of impression lists with a click among the first k places."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.metrics._lists import ListMetric, Ranked, scored_lists


def hit_rate(
    click: ArrayLike,
    p_click: ArrayLike,
    list_id: ArrayLike,
    k: int = 10,
    weight: ArrayLike | None = None,
) -> float:
    """Return the share of impression lists with a click among the first k places.

    Only lists with both a click and a non-click count. If tied predictions fill the places up to k,
    a list counts with the probability of a click there in a random order of the tied rows.

    Args:
        click: (N,) int or bool, 1 for a click.
        p_click: (N,) float, predictions. Only the order matters.
        list_id: (N,) int or str, the list of each impression, such as its request.
        k: Number of places that count, at least 1.
        weight: (N,) float > 0, sample weights; a list has the mean weight of its rows.

    Returns:
        A fraction in [0, 1].

    Raises:
        DataError: An array is not valid, k is below 1, or no list has both a click and a non-click.

    >>> hit_rate([0, 1, 1, 0], [.9, .1, .8, .2], [1, 1, 2, 2], k=1)
    0.5
    """
    scored = scored_lists(click, p_click, list_id, k, weight)
    return HitRate(f"hit_rate@{k}").value(scored) or 0.0


class HitRate(ListMetric):
    """The share of lists."""

    measure = "hit rate"

    def of_lists(self, ranked: Ranked) -> np.ndarray:
        """See `ListMetric`; the miss probability of a run is hypergeometric."""
        others = ranked.rows - ranked.clicks  # (R,)
        places = np.minimum(ranked.rows, ranked.cutoff - ranked.place[ranked.run])  # below k
        miss = np.where((places > 0) & (places > others), 0.0, 1.0)  # (R,)
        for drawn in range(min(ranked.cutoff, int(places.max(initial=0)))):
            mixed = (drawn < places) & (places <= others)
            left = (others - drawn) / np.maximum(ranked.rows - drawn, 1)
            miss = np.where(mixed, miss * left, miss)
        return 1 - np.multiply.reduceat(miss, np.searchsorted(ranked.run, ranked.first))
