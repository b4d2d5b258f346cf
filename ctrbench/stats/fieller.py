"""The ratio of two correlated differences, with Fieller's interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ctrbench.stats.contrast import Contrast
from ctrbench.stats.distributions import root
from ctrbench.stats.pooling import variances
from ctrbench.stats.student import SIGNIFICANCE, half_width

DOUBLINGS = 60  # at most, of the step in the search for a limit


@dataclass(frozen=True)
class Share:
    """The share of the attainable gain that an arm captures, with its 95 % interval."""

    value: float  # a fraction; negative if the arm is worse than the baseline
    low: float  # NaN, like `high`, if fewer than two users carry the difference
    high: float
    seeds: tuple[int, ...]

    @property
    def defined(self) -> bool:
        """Whether the share has an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def share_of_attainable(model: Contrast, ceiling: Contrast) -> Share | None:
    """Return (model - baseline) / (ceiling - baseline), or None if it is not defined.

    It is not defined with fewer than two seeds, or if the denominator is not significantly above
    zero. The interval contains every ratio for which model - ratio * ceiling does not differ
    significantly from zero. It accounts for user, item and seed variance.

    Args:
        model: The model minus the baseline.
        ceiling: The true click probability minus the baseline, on the same seeds.

    Source: Fieller 1954, J. R. Stat. Soc. B 16, 175-185. Differs from it in the interval of each
    combination, which is the one of `half_width` in place of Student's t.
    """
    if len(model.seeds) < 2 or model.seeds != ceiling.seeds or ceiling.estimate <= 0:
        return None
    if _half_width(ceiling) >= ceiling.estimate:
        return None

    def beyond(ratio: float) -> float:
        """Return the distance of the interval from zero; negative if the interval contains zero."""
        rest = model.less(ceiling, ratio)
        return abs(rest.estimate) - _half_width(rest)

    value = model.estimate / ceiling.estimate
    step = _half_width(ceiling) / ceiling.estimate
    low, high = _limit(beyond, value, -step), _limit(beyond, value, step)
    return Share(value, low, high, model.seeds)


def _half_width(contrast: Contrast) -> float:
    return half_width(SIGNIFICANCE, variances([contrast])[0])


def _limit(beyond: Callable[[float], float], inside: float, step: float) -> float:
    """Return the root of `beyond` in the direction of the step.

    Returns `inside` if `beyond` is not negative there, and NaN if it is NaN.
    """
    start = beyond(inside)
    if math.isnan(start):
        return math.nan
    if start >= 0:
        return inside  # nothing varies
    near, step = inside, step or 1e-9
    for _ in range(DOUBLINGS):
        far = near + step
        if beyond(far) > 0:
            return root(beyond, min(near, far), max(near, far), 1e-9)
        near, step = far, 2 * step
    return near
