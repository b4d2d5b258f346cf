"""`calibration_error`: expected calibration error in bins of equally many impressions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.errors import DataError
from ctrbench.metrics._base import Metric
from ctrbench.metrics._checks import checked
from ctrbench.metrics._runs import ascending, starts, sums
from ctrbench.metrics._scored import Scored

BINS = 20


def calibration_error(
    click: ArrayLike, p_click: ArrayLike, weight: ArrayLike | None = None
) -> float:
    """Return the expected calibration error: mean |mean prediction - CTR| over 20 bins.

    Bins have equally many impressions, because predicted click probabilities concentrate near 0,
    where bins of equal width would put most impressions into one bin. Equal predictions share a
    bin: that of the middle of their ranks. Bins are weighted by their impressions.

    Args:
        click: (N,) int or bool, 1 for a click.
        p_click: (N,) float in [0, 1].
        weight: (N,) float > 0, sample weights.

    Returns:
        A fraction in [0, 1]; 0 is calibrated. A calibrated model has a value slightly above 0,
        because the CTR of a bin varies.

    Raises:
        DataError: An array is not valid or empty, or p_click lies outside [0, 1].

    Source: Naeini, Cooper and Hauskrecht 2015, AAAI, equation 2; equal-mass bins as in Nixon et al.
    2019, arXiv:1904.01685.

    >>> round(calibration_error([1, 0, 0, 1], [.9, .1, .1, .9]), 6)
    0.1
    """
    clicks, p, weights = checked(click, p_click, weight, probability=True)
    if not len(p):
        raise DataError("the calibration error needs at least one row; there is none.")
    share = np.full(len(p), 1 / len(p)) if weights is None else weights / weights.sum()
    gap = p.astype(np.float64) - clicks
    return float(np.abs(np.bincount(_bins(p, share), share * gap)).sum())


class CalibrationError(Metric):
    """The expected calibration error.

    Its differences have no interval: the error is a sum of absolute values, and the linearised
    variance is too small where the gap of a bin may have either sign.
    """

    title = "expected calibration error"
    less_is_better = True
    on_request = True
    needs_probabilities = True

    def value(self, scored: Scored) -> float | None:
        """See `Metric`."""
        if not scored.rows:
            return None
        return calibration_error(scored.click, scored.p_click, scored.weight)


def _bins(p: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the (N,) bin of each row, by the middle of the ranks of equal predictions."""
    order = ascending(p)
    run = starts(p[order])
    of_run = sums(share[order], run)
    middle = np.cumsum(of_run) - of_run / 2
    rounded = np.round(BINS * middle, 9)  # sums of shares are not exact
    found = np.empty(len(p), np.int64)
    rows = np.diff(run, append=len(p))
    found[order] = np.repeat(np.minimum(rounded.astype(np.int64), BINS - 1), rows)
    return found
