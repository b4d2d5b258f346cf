"""Simultaneous intervals and verdicts for a family of comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np

from ctrbench.seeding import stream
from ctrbench.stats.contrast import Contrast, Variance
from ctrbench.stats.distributions import normal_cdf, normal_quantile, student_quantile
from ctrbench.stats.pooling import seed_correlation, variances
from ctrbench.stats.student import CONFIDENCE, half_width, p_value

POWER = 0.8  # of the minimum detectable effect
DRAWS = 100_000  # from the joint distribution of the family

Verdict = Literal["better", "worse", "no worse", "inconclusive"]


@dataclass(frozen=True)
class Inference:
    """The result of one comparison; every number is in the unit of the metric."""

    seeds: tuple[int, ...]
    estimate: float  # mean difference over seeds
    variance: Variance
    low: float  # lower limit of the interval, simultaneous over the family
    high: float
    p_value: float  # two-sided, not adjusted
    p_adjusted: float  # adjusted for the family by single-step min-p
    p_holm: float
    p_bh: float  # Benjamini-Hochberg
    smallest_effect: float  # minimum detectable effect at a power of 80 %
    effective_users: float = math.inf  # effective number of test users
    effective_items: float = math.inf  # effective number of test items; infinite where unknown

    @property
    def standard_error(self) -> float:
        """Return the standard error of the mean difference."""
        return self.variance.standard_error

    @property
    def probability_above(self) -> float:
        """Return the probability that the true difference is above 0, in [0, 1].

        It is the share above 0 of the confidence distribution, which consists of the one-sided
        p-values of all differences: 1 - p / 2 if the estimate is above 0, else p / 2. With a flat
        prior it is the posterior probability. It has the variance and the degrees of freedom of the
        pointwise interval, and is not adjusted for the family.

        Source: Xie and Singh 2013, International Statistical Review 81, section 2.
        """
        return 1 - self.p_value / 2 if self.estimate > 0 else self.p_value / 2

    @property
    def seed_share(self) -> float:
        """Return the share of the variance due to seeds, in [0, 1]."""
        return self.variance.seeds / (self.variance.total or 1.0)

    @property
    def shares(self) -> dict[str, float | None]:
        """Return the shares of the variance due to users, items and seeds; in [0, 1].

        All are 0 if nothing varies. The share of items is None if item sums are not stored.
        """
        spread, total = self.variance, self.variance.total or 1.0
        return {
            "users": spread.users / total,
            "items": spread.items / total if spread.with_items else None,
            "seeds": spread.seeds / total,
        }

    def reversed(self) -> Inference:
        """Return the result for reference minus arm."""
        return replace(self, estimate=-self.estimate, low=-self.high, high=-self.low)

    def verdict(self, margin: float) -> Verdict:
        """Return the verdict from the simultaneous 95 % interval.

        Args:
            margin: >= 0, in the unit of the metric; a smaller loss is acceptable.
        """
        if self.low > 0:
            return "better"
        if self.high < 0:
            return "worse"
        return "no worse" if self.low > -margin else "inconclusive"


def infer(
    contrasts: Sequence[Contrast], looks: int = 1, auxiliary: Sequence[Contrast] = ()
) -> list[Inference]:
    """Return simultaneous intervals and p-values for a family of comparisons.

    The method is single-step min-p with a Gaussian copula in place of resampling: each p-value is
    compared with the distribution of the smallest p-value of the family. The correlation of the
    influence values and of the deltas over seeds determines that distribution. A family of one gets
    its pointwise interval.

    Args:
        contrasts: The family.
        looks: Number of planned analyses while seeds are added, >= 1. Each spends an equal part of
            the 5 % (Bonferroni, which is conservative because the analyses are correlated).
        auxiliary: Further comparisons of the same metric, such as those of controls. They only
            inform the seed variance and get no result.

    Source: Westfall and Young 1993, Resampling-Based Multiple Testing, section 2.
    """
    if not contrasts:
        return []
    spreads = variances(contrasts, auxiliary)
    p_values = [p_value(one.estimate, of) for one, of in zip(contrasts, spreads, strict=True)]
    spent = (1 - CONFIDENCE) / looks
    largest = None if len(contrasts) == 1 else _largest(_correlation(contrasts, spreads))
    level = spent if largest is None else 2 * normal_cdf(-float(np.quantile(largest, 1 - spent)))
    found: list[Inference] = []
    adjusted = zip(holm(p_values), benjamini_hochberg(p_values), strict=True)
    for contrast, spread, p, (p_holm, p_bh) in zip(
        contrasts, spreads, p_values, adjusted, strict=True
    ):
        half = half_width(level, spread)
        joint = p if largest is None else float(np.mean(largest >= -normal_quantile(p / 2)))
        found.append(
            Inference(
                seeds=contrast.seeds,
                estimate=contrast.estimate,
                variance=spread,
                low=contrast.estimate - half,
                high=contrast.estimate + half,
                p_value=p,
                p_adjusted=min(1.0, looks * max(joint, p)),
                p_holm=min(1.0, looks * p_holm),
                p_bh=min(1.0, looks * p_bh),
                smallest_effect=half
                + student_quantile(spread.degrees, POWER) * spread.standard_error,
                effective_users=contrast.effective_users,
                effective_items=contrast.effective_items if spread.with_items else math.inf,
            )
        )
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down p-values (Scandinavian Journal of Statistics 6, 1979).

    >>> holm([.01, .04, .03])
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return _placed(stepped, order)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return step-up p-values that control the false discovery rate (J. R. Stat. Soc. B 57, 1995).

    >>> benjamini_hochberg([.01, .04, .03])
    [0.03, 0.04, 0.04]
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p)
    stepped = p[order] * len(p) / np.arange(1, len(p) + 1)
    return _placed(np.minimum.accumulate(stepped[::-1])[::-1], order)


def _placed(stepped: np.ndarray, order: np.ndarray) -> list[float]:
    found = np.empty(len(order))
    found[order] = np.minimum(stepped, 1.0)
    return found.tolist()


def _correlation(contrasts: Sequence[Contrast], spreads: Sequence[Variance]) -> np.ndarray:
    """Return the (m, m) correlation of the estimates, from influence values and deltas over seeds.

    Comparisons without item sums are uncorrelated in their item part.
    """
    moved = np.stack([contrast.mean_influence for contrast in contrasts])  # (m, G)
    of_users, of_items, of_seeds = (
        np.sqrt([getattr(spread, name) for spread in spreads])
        for name in ("users", "items", "seeds")
    )
    covariance = _scaled(moved @ moved.T) * np.outer(of_users, of_users)
    by_item = {
        place: contrast.items.mean(axis=0)
        for place, contrast in enumerate(contrasts)
        if contrast.items is not None
    }
    if by_item and of_items.any():
        known, sums = list(by_item), np.stack(list(by_item.values()))
        products = np.zeros_like(covariance)
        products[np.ix_(known, known)] = sums @ sums.T
        covariance += _scaled(products) * np.outer(of_items, of_items)
    return _scaled(covariance + seed_correlation(contrasts) * np.outer(of_seeds, of_seeds))


def _scaled(covariance: np.ndarray) -> np.ndarray:
    """Return the correlation of a covariance; a variance of 0 gives an uncorrelated entry."""
    scale = np.sqrt(np.diag(covariance))
    scale[scale == 0] = 1.0
    correlation = covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def _largest(correlation: np.ndarray) -> np.ndarray:
    """Return (DRAWS,) draws of the largest |z| of the family under the global null hypothesis."""
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return np.abs(root @ _normal(len(correlation))).max(axis=0)


@lru_cache(maxsize=2)
def _normal(count: int) -> np.ndarray:
    """Return (count, DRAWS) standard normal draws from a fixed seed."""
    return stream(0, "family").standard_normal((count, DRAWS))
