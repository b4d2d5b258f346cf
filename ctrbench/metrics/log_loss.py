"""`log_loss`: the mean negative log likelihood of the clicks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.errors import DataError
from ctrbench.metrics._base import Metric
from ctrbench.metrics._checks import checked
from ctrbench.metrics._influence import Influence, effective_size, leverage
from ctrbench.metrics._scored import Scored

SMALLEST_P = (
    2.0**-24
)  # predictions are clipped to [this, 1 - this], the last step of float32 below 1


def log_loss(click: ArrayLike, p_click: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Return the mean negative log likelihood in nats, with p_click clipped to [2^-24, 1 - 2^-24].

    The clip is the last step of float32 below 1: a saturated sigmoid costs 16.6, not infinity.

    Args:
        click: (N,) int or bool, 1 for a click.
        p_click: (N,) float in [0, 1].
        weight: (N,) float > 0, sample weights.

    Raises:
        DataError: An array is not valid or empty, or p_click lies outside [0, 1].

    >>> round(log_loss([1, 0], [.5, .5]), 6)
    0.693147
    """
    clicks, p, weights = checked(click, p_click, weight, probability=True)
    if not len(p):
        raise DataError("log loss needs at least one row; there is none.")
    clipped = np.clip(p.astype(np.float64), SMALLEST_P, 1 - SMALLEST_P)
    return float(np.average(-np.log(np.where(clicks, clipped, 1 - clipped)), weights=weights))


class LogLoss(Metric):
    """The mean of the loss over impressions."""

    title = "log loss"
    less_is_better = True
    described = True
    needs_probabilities = True
    items_each = 1

    def value(self, scored: Scored) -> float | None:
        """See `Metric`."""
        return log_loss(scored.click, scored.p_click, scored.weight) if scored.rows else None

    def influence(self, scored: Scored) -> Influence | None:
        """See `Metric`; the linearised variance of a weighted mean."""
        if not scored.rows:
            return None
        weights, user, users = scored.weights, scored.user, scored.users
        clipped = np.clip(scored.p_click.astype(np.float64), SMALLEST_P, 1 - SMALLEST_P)
        loss = -np.log(np.where(scored.click, clipped, 1 - clipped))
        value, total = float(np.average(loss, weights=weights)), weights.sum()
        part = np.bincount(user, weights, users) / total
        moved = weights * (loss - value) / total
        items = scored.sketch and scored.sketch.items(moved, weights / total, each=1)
        per_user = leverage(part) * np.bincount(user, moved, users)
        return Influence(value, per_user, effective_size(part), items)
