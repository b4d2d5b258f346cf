"""A ratio of two differences that vary together, with the interval that stays honest near zero."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctrbench.stats.contrast import Contrast


@dataclass(frozen=True)
class Share:
    """What part of an attainable gain was captured, with its 95 % interval."""

    value: float  # a fraction; below 0: worse than the baseline
    low: float
    high: float
    seeds: tuple[int, ...]


def share_of_attainable(model: Contrast, ceiling: Contrast) -> Share | None:
    """(model - baseline) / (ceiling - baseline); None if it cannot be told.

    It cannot with fewer than two seeds, or where the denominator is not separable from zero, or
    below it. The interval is for other users and other seeds.

    Args:
        model: the model against the baseline.
        ceiling: the probability that clicks were drawn from, against the baseline of the same
            seeds.

    Source: Fieller 1954, J. R. Stat. Soc. B 16, 175-185.
    """
    if len(model.seeds) < 2 or model.seeds != ceiling.seeds or ceiling.estimate <= 0:
        return None
    limits = _limits(model, ceiling)
    if limits is None:
        return None
    return Share(model.estimate / ceiling.estimate, *limits, model.seeds)


def _limits(model: Contrast, ceiling: Contrast) -> tuple[float, float] | None:
    """The ratios at which model - ratio * ceiling is not told from zero at 5 %.

    Both parts of the covariance count the interaction of users and seeds, which is on the safe
    side and keeps the covariance a covariance.
    """
    seeds, users = model.influence.shape
    moved = np.stack([model.mean_influence, ceiling.mean_influence])
    of_users = users / (users - 1) * moved @ moved.T
    of_seeds = np.cov(model.delta, ceiling.delta) / seeds
    ratio = np.array([1.0, -model.estimate / ceiling.estimate])
    parts = ratio @ of_users @ ratio, ratio @ of_seeds @ ratio
    spread = parts[0] ** 2 / (users - 1) + parts[1] ** 2 / (seeds - 1)
    degrees = sum(parts) ** 2 / spread if spread else users - 1
    return fieller(model.estimate, ceiling.estimate, of_users + of_seeds, float(degrees))


def fieller(
    top: float, bottom: float, covariance: np.ndarray, degrees: float
) -> tuple[float, float] | None:
    """The 95 % limits of top / bottom; None if the lower one is not separable from zero or below.

    Args:
        top: an estimate.
        bottom: another.
        covariance: (2, 2) of the two.
        degrees: of freedom with which it is known.
    """
    from scipy.special import stdtrit

    quantile = float(stdtrit(degrees, 0.975)) ** 2
    (top_top, both), (_, bottom_bottom) = covariance
    a = bottom**2 - quantile * bottom_bottom
    if a <= 0 or bottom <= 0:
        return None
    b = top * bottom - quantile * both
    c = top**2 - quantile * top_top
    root = math.sqrt(max(b * b - a * c, 0.0))
    return (b - root) / a, (b + root) / a
