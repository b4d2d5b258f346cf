"""`gauc`: the impression-weighted mean of per-user AUC."""

from __future__ import annotations

from numpy.typing import ArrayLike

from ctrbench.metrics._gauc import WeightedGauc
from ctrbench.metrics._grouped import Weighting, grouped_auc


def gauc(
    click: ArrayLike,
    p_click: ArrayLike,
    user_id: ArrayLike,
    weighting: Weighting = "impressions",
    weight: ArrayLike | None = None,
) -> float:
    """Return the weighted mean of per-user AUC.

    Users with only clicks or only non-clicks are excluded.

    Args:
        click: (N,) int or bool, 1 for a click.
        p_click: (N,) float, predicted click probability. Only the order matters.
        user_id: (N,) int or str, the user of each impression.
        weighting: Weight of a user: "impressions", "clicks", or "users" (1 each). Sample weights
            replace the counts of impressions and clicks by sums of weights.
        weight: (N,) float > 0, sample weights.

    Returns:
        A fraction in [0, 1]; 0.5 is chance level.

    Raises:
        DataError: An array is not valid, or no user has both a click and a non-click.

    Source: Zhou et al. 2018, arXiv:1706.06978, section "Metrics".

    >>> gauc([1, 0, 1, 0, 0, 0], [.9, .1, .2, .8, .1, .5], [1, 1, 2, 2, 2, 3])
    0.7
    """
    return grouped_auc(click, p_click, user_id, weight).gauc(weighting)


class Gauc(WeightedGauc):
    """GAUC weighted by impressions, the common weighting."""

    title = "GAUC"
    judged = True
    weighting = "impressions"
