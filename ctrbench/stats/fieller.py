"""A ratio of two differences that vary together, with the interval that stays honest near zero."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ctrbench.stats.contrast import Contrast
from ctrbench.stats.distributions import root
from ctrbench.stats.pooling import variances
from ctrbench.stats.student import reach

LEVEL = 0.05  # of significance
DOUBLINGS = 60  # of the step that looks for a limit


@dataclass(frozen=True)
class Share:
    """What part of an attainable gain was captured, with its 95 % interval."""

    value: float  # a fraction; below 0: worse than the baseline
    low: float  # NaN, as `high` is: fewer than two users move the difference from that share
    high: float
    seeds: tuple[int, ...]

    @property
    def defined(self) -> bool:
        """Whether it has an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def share_of_attainable(model: Contrast, ceiling: Contrast) -> Share | None:
    """(model - baseline) / (ceiling - baseline); None if it cannot be told.

    It cannot with fewer than two seeds, or where the denominator is not separable from zero, or
    below it. The interval accounts for user, item and seed variance: the ratios at which
    model - ratio * ceiling does not differ significantly from zero.

    Args:
        model: the model against the baseline.
        ceiling: the probability that clicks were drawn from, against the baseline of the same
            seeds.

    Source: Fieller 1954, J. R. Stat. Soc. B 16, 175-185; with our intervals in place of his t.
    """
    if len(model.seeds) < 2 or model.seeds != ceiling.seeds or ceiling.estimate <= 0:
        return None
    if _reach(ceiling) >= ceiling.estimate:
        return None

    def beyond(ratio: float) -> float:
        """How far the combination leaves zero out; below 0: it does not."""
        rest = model.less(ceiling, ratio)
        return abs(rest.estimate) - _reach(rest)

    value = model.estimate / ceiling.estimate
    step = _reach(ceiling) / ceiling.estimate
    low, high = _limit(beyond, value, -step), _limit(beyond, value, step)
    return Share(value, low, high, model.seeds)


def _reach(contrast: Contrast) -> float:
    return reach(LEVEL, variances([contrast])[0])


def _limit(beyond: Callable[[float], float], inside: float, step: float) -> float:
    """Where `beyond` turns positive, on the side of the step.

    'inside' itself where it is 0; NaN where it is NaN.
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
