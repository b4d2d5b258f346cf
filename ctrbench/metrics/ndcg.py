"""`ndcg`: normalised discounted cumulative gain of the first k places of impression lists."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.metrics._lists import ListMetric, Ranked, scored_lists
from ctrbench.metrics._runs import sums


def ndcg(
    click: ArrayLike,
    p_click: ArrayLike,
    list_id: ArrayLike,
    k: int = 10,
    weight: ArrayLike | None = None,
) -> float:
    """Return the mean NDCG@k of impression lists that have both a click and a non-click.

    A click at place r, from 1, has the gain 1 / log2(r + 1); the sum over the first k places is
    divided by the largest possible one. Tied predictions share the mean gain of their places.

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

    Source: Järvelin and Kekäläinen 2002, ACM TOIS 20; ties as in McSherry and Najork 2008.

    >>> round(ndcg([0, 1, 1, 0], [.9, .1, .8, .2], [1, 1, 2, 2]), 4)
    0.8155
    """
    scored = scored_lists(click, p_click, list_id, k, weight)
    return Ndcg(f"ndcg@{k}").value(scored) or 0.0


class Ndcg(ListMetric):
    """The mean over lists."""

    measure = "NDCG"

    def of_lists(self, ranked: Ranked) -> np.ndarray:
        """See `ListMetric`."""
        k = ranked.cutoff
        discount = np.where(ranked.place < k, 1 / np.log2(ranked.place + 2.0), 0.0)  # (N,)
        gain = sums(discount, ranked.run) * ranked.clicks / ranked.rows  # (R,)
        of_list = np.bincount(ranked.list_of_run, gain, ranked.lists)
        clicks = np.bincount(ranked.list_of_run, ranked.clicks, ranked.lists).astype(np.int64)
        best = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(min(k, len(discount))) + 2))])
        ideal = best[np.minimum(clicks, len(best) - 1)]
        return of_list / np.where(clicks > 0, ideal, 1.0)
