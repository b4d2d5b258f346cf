"""AUC over all impressions, for one or several sets of weights."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.arrays import blocks
from ctrbench.metrics._checks import checked
from ctrbench.metrics._runs import ascending, leading_step, starts, sums
from ctrbench.scratch import IN_MEMORY, Scratch, sections


class RankedAuc:
    """Predictions sorted once, to compute their AUC for several weights, such as resamples.

    >>> ranked = RankedAuc(np.array([True, False, True, False]), np.array([.9, .1, .4, .4]))
    >>> ranked.auc(np.ones(4)), ranked.auc(np.array([1., 0., 1., 2.]))
    (0.875, 0.75)
    """

    def __init__(self, click: ArrayLike, p_click: ArrayLike, scratch: Scratch = IN_MEMORY) -> None:
        """Sort clicks by predictions.

        Args:
            click: (N,) int or bool, 1 for a click.
            p_click: (N,) float, finite.
            scratch: Provides arrays of N entries.

        Raises:
            DataError: An array is not valid.
        """
        clicks, self._p, _ = checked(click, p_click, None)
        self._scratch, self._order = scratch, ascending(self._p, scratch)
        ordered = (clicks[self._order[part]] for part in blocks(len(clicks)))
        self._clicked = scratch.filled(len(clicks), bool, ordered)

    def auc(self, weight: np.ndarray) -> float:
        """Return the AUC for (N,) float weights >= 0; NaN if one class has no weight."""
        rows, ties = len(self._p), 0
        yes, no, area = (self._scratch.empty(rows, np.float64) for _ in range(3))  # of each tie
        for part in sections(self._order, lambda row: self._p[row]):
            order, clicked = self._order[part], self._clicked[part]
            tie, weights = starts(self._p[order]), weight[order]
            own = slice(ties, ties := ties + len(tie))
            yes[own], no[own] = sums(weights * clicked, tie), sums(weights * ~clicked, tie)
        yes, no, area = yes[:ties], no[:ties], area[:ties]
        step, leading, rest = leading_step(float(no.sum())), 0, 0.0  # see `sums_before`
        for part in blocks(ties):
            high = np.floor(no[part] / step)
            low = no[part] - high * step
            highs = leading + np.cumsum(high.astype(np.int64))
            lows = np.cumsum(np.concatenate([[rest], low]))[1:]
            below = step * (highs - high.astype(np.int64)) + (lows - low)
            area[part] = yes[part] * (below + no[part] / 2)
            leading, rest = int(highs[-1]), float(lows[-1])
        total = yes.sum() * no.sum()
        return float(area.sum() / total) if total else math.nan
