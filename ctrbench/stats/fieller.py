"""A ratio of two means that vary together, with the interval that stays honest near zero."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Share:
    """What part of an attainable gain was captured, with its 95 % interval."""

    value: float  # a fraction; below 0: worse than the baseline
    low: float
    high: float
    seeds: tuple[int, ...]  # those that all arms have


def share_of_attainable(
    values: Mapping[int, float], baseline: Mapping[int, float], ceiling: float
) -> Share | None:
    """(model - baseline) / (ceiling - baseline) over seeds; None if it cannot be told.

    It cannot with fewer than two seeds, or where the denominator is not separable from zero, or
    below it. The interval is over seeds only: it holds for this test set.

    Args:
        values: seed -> metric of the model, a fraction.
        baseline: seed -> the same metric of the baseline.
        ceiling: the same metric of the probability that the clicks were drawn from.

    Source: Fieller 1954, J. R. Stat. Soc. B 16, 175-185.
    """
    seeds = tuple(sorted(values.keys() & baseline.keys()))
    if len(seeds) < 2:
        return None
    start = np.array([baseline[seed] for seed in seeds])
    gain = np.array([values[seed] for seed in seeds]) - start
    return fieller(gain, ceiling - start, seeds)


def fieller(top: np.ndarray, bottom: np.ndarray, seeds: tuple[int, ...]) -> Share | None:
    """The ratio of the means of paired draws (S,), S > 1; None if the lower one is not above 0."""
    from scipy.stats import t

    count = len(top)
    (top_top, top_bottom), (_, bottom_bottom) = np.cov(top, bottom) / count
    quantile = float(t.ppf(0.975, count - 1)) ** 2
    above, below = float(top.mean()), float(bottom.mean())
    a = below**2 - quantile * bottom_bottom
    if a <= 0 or below <= 0:
        return None
    b = above * below - quantile * top_bottom
    c = above**2 - quantile * top_top
    root = math.sqrt(max(b * b - a * c, 0.0))
    return Share(above / below, (b - root) / a, (b + root) / a, seeds)
