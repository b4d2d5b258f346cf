"""`log_loss`: the mean negative log likelihood of the clicks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.errors import DataError
from ctrbench.metrics._base import Metric
from ctrbench.metrics._checks import checked
from ctrbench.metrics._influence import Influence, ItemSums, effective_size, leverage
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
    return float(np.average(_losses(clicks, p), weights=weights))


def _losses(click: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the (n,) float64 loss of each row; (n,) bool and float."""
    clipped = np.clip(p.astype(np.float64), SMALLEST_P, 1 - SMALLEST_P)
    return -np.log(np.where(click, clipped, 1 - clipped))


class LogLoss(Metric):
    """The mean of the loss over impressions."""

    title = "log loss"
    less_is_better = True
    described = True
    needs_probabilities = True
    items_each = 1

    def value(self, scored: Scored) -> float | None:
        """See `Metric`."""
        return self._mean(scored) if scored.rows else None

    def influence(self, scored: Scored) -> Influence | None:
        """See `Metric`; the linearised variance of a weighted mean."""
        if not scored.rows:
            return None
        value, total = self._mean(scored), scored.weights.sum()
        part, of_user = np.zeros(scored.users), np.zeros(scored.users)
        sums = scored.sketch and ItemSums(scored.sketch, each=1)
        for rows in scored.blocks:
            user, weights = scored.user[rows].astype(np.int64), scored.weights[rows]
            loss = _losses(scored.click[rows], scored.p_click[rows])
            moved = weights * (loss - value) / total
            np.add.at(part, user, weights)
            np.add.at(of_user, user, moved)
            if sums is not None:
                sums.add(rows, moved, weights / total)
        part /= total
        items = sums and sums.items()
        return Influence(value, leverage(part) * of_user, effective_size(part), items)

    def _mean(self, scored: Scored) -> float:
        losses = (
            _losses(scored.click[rows], scored.p_click[rows]) * scored.weights[rows]
            for rows in scored.blocks
        )
        return scored.total(losses, scored.rows) / float(scored.weights.sum())
