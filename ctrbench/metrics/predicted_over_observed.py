"""`predicted_over_observed`: calibration, the mean prediction over the observed CTR."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.errors import DataError
from ctrbench.metrics._base import Metric
from ctrbench.metrics._checks import checked
from ctrbench.metrics._scored import Scored


def predicted_over_observed(
    click: ArrayLike, p_click: ArrayLike, weight: ArrayLike | None = None
) -> float:
    """Return the mean prediction divided by the observed CTR.

    1 is calibrated; 2 predicts twice the observed clicks.

    Args:
        click: (N,) int or bool, 1 for a click.
        p_click: (N,) float in [0, 1].
        weight: (N,) float > 0, sample weights.

    Raises:
        DataError: An array is not valid, there is no click, or p_click lies outside [0, 1].

    >>> predicted_over_observed([1, 0, 0, 0], [.5, .5, .5, .5])
    2.0
    """
    clicks, p, weights = checked(click, p_click, weight, probability=True)
    if not clicks.any():
        raise DataError(f"predicted over observed CTR needs a click; none of {len(p)} rows is one.")
    predicted = np.average(p.astype(np.float64), weights=weights)
    return float(predicted / np.average(clicks, weights=weights))


class PredictedOverObserved(Metric):
    """Calibration. Its best value is 1, so a difference has no direction and no interval."""

    title = "predicted over observed CTR"
    described = True
    needs_probabilities = True
    acceptable = (0.8, 1.25)
    requires = "there is no click"

    def value(self, scored: Scored) -> float | None:
        """See `Metric`."""
        if not scored.clicks:
            return None
        total = float(scored.weights.sum())
        predicted, observed = (
            scored.total((column[r] * scored.weights[r] for r in scored.blocks), scored.rows)
            for column in (scored.p_click, scored.click)
        )
        return (predicted / total) / (observed / total)
