"""`gauc`: the mean of per-user AUC, weighted by impressions."""

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
    """Mean of the per-user AUC, weighted by impressions; users with one class only are left out.

    Args:
        click: (N,) 0 or 1.
        p_click: (N,) predicted probability; only its order matters.
        user_id: (N,) who saw the impression: any integers, or strings.
        weighting: what a user weighs: impressions (with sample weights: their sum), clicks (with
            sample weights: their sum over clicked rows), or users (1 each).
        weight: (N,) > 0, sample weights.

    Returns:
        A fraction; 0.5 is chance.

    Raises:
        DataError: an array is unfit, or no user has both a click and a non-click.

    Source: Zhou et al. 2018, arXiv:1706.06978, section "Metrics".

    >>> gauc([1, 0, 1, 0, 0, 0], [.9, .1, .2, .8, .1, .5], [1, 1, 2, 2, 2, 3])
    0.7
    """
    return grouped_auc(click, p_click, user_id, weight).gauc(weighting)


class Gauc(WeightedGauc):
    """The usual weighting."""

    title = "GAUC"
    judged = True
    weighting = "impressions"
