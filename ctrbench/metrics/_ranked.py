"""AUC over all impressions, for one or several sets of weights."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.metrics._checks import checked
from ctrbench.metrics._runs import ascending, starts, sums, sums_before


class RankedAuc:
    """Predictions sorted once, to compute their AUC for several weights, such as resamples.

    >>> ranked = RankedAuc(np.array([True, False, True, False]), np.array([.9, .1, .4, .4]))
    >>> ranked.auc(np.ones(4)), ranked.auc(np.array([1., 0., 1., 2.]))
    (0.875, 0.75)
    """

    def __init__(self, click: ArrayLike, p_click: ArrayLike) -> None:
        """Sort clicks by predictions.

        Args:
            click: (N,) int or bool, 1 for a click.
            p_click: (N,) float, finite.

        Raises:
            DataError: An array is not valid.
        """
        clicks, p, _ = checked(click, p_click, None)
        self._order = ascending(p)
        self._clicked = clicks[self._order]
        self._tie = starts(p[self._order])

    def auc(self, weight: np.ndarray) -> float:
        """Return the AUC for (N,) float weights >= 0; NaN if one class has no weight."""
        weights = weight[self._order]
        yes = sums(weights * self._clicked, self._tie)
        no = sums(weights * ~self._clicked, self._tie)
        area = np.sum(yes * (sums_before(no, np.zeros(1, np.int64)) + no / 2))
        total = yes.sum() * no.sum()
        return float(area / total) if total else math.nan
