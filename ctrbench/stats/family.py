"""Intervals and verdicts that hold for a whole family of comparisons at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from ctrbench.seeding import stream
from ctrbench.stats.contrast import Contrast, Variance, pooled_seeds, variance

LEVEL = 0.95
POWER = 0.8  # with which the smallest effect would have been seen
DRAWS = 100_000  # of the joint distribution of the family

Verdict = Literal["better", "worse", "no worse", "inconclusive"]


@dataclass(frozen=True)
class Inference:
    """What one comparison says; every number in the metric's own unit."""

    seeds: tuple[int, ...]
    estimate: float  # mean difference over seeds
    variance: Variance
    low: float  # of the interval: simultaneous over the family
    high: float
    p_value: float  # two-sided, of this comparison alone
    p_adjusted: float  # the same over the family: the smallest p of all, jointly
    p_holm: float
    p_bh: float  # Benjamini-Hochberg
    smallest_effect: float  # that would have been told from zero four times in five

    @property
    def standard_error(self) -> float:
        """Of the mean difference."""
        return self.variance.standard_error

    def verdict(self, margin: float) -> Verdict:
        """What can be said at 95 %, the family taken together.

        Args:
            margin: >= 0; a loss below it does not matter.
        """
        if self.low > 0:
            return "better"
        if self.high < 0:
            return "worse"
        return "no worse" if self.low > -margin else "inconclusive"


def infer(contrasts: Sequence[Contrast], looks: int = 1) -> list[Inference]:
    """Judge the comparisons of a family together.

    The intervals hold simultaneously: each comparison's own p-value is set against the smallest
    of the family, whose distribution follows from the correlation of the influence values and of
    the seeds (single-step min-p, Westfall and Young 1993, section 2, with a Gaussian copula in
    place of resampling). A family of one gets its ordinary t interval.

    Args:
        contrasts: the family.
        looks: how often the family is judged while seeds are added. Each look spends the same part
            of the 5 % (Bonferroni; the looks are related, so this is on the safe side).
    """
    from scipy.special import ndtr, ndtri, stdtrit

    if not contrasts:
        return []
    variances = [
        variance(contrast, seeds)
        for contrast, seeds in zip(contrasts, pooled_seeds(contrasts), strict=True)
    ]
    p_values = [
        _p_value(contrast.estimate, spread)
        for contrast, spread in zip(contrasts, variances, strict=True)
    ]
    spent = (1 - LEVEL) / looks
    largest = None if len(contrasts) == 1 else _largest(_correlation(contrasts, variances))
    level = spent if largest is None else 2 * float(ndtr(-np.quantile(largest, 1 - spent)))
    found = []
    adjusted = zip(holm(p_values), benjamini_hochberg(p_values), strict=True)
    for contrast, spread, p, (p_holm, p_bh) in zip(
        contrasts, variances, p_values, adjusted, strict=True
    ):
        critical = float(stdtrit(spread.degrees, 1 - level / 2))
        reach = critical * spread.standard_error
        seen = reach + float(stdtrit(spread.degrees, POWER)) * spread.standard_error
        joint = p if largest is None else float(np.mean(largest >= -ndtri(p / 2)))
        found.append(
            Inference(
                contrast.seeds,
                contrast.estimate,
                spread,
                contrast.estimate - reach,
                contrast.estimate + reach,
                p,
                max(joint, p),
                p_holm,
                p_bh,
                seen,
            )
        )
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down p-values (Scandinavian Journal of Statistics 6, 1979).

    >>> holm([.01, .04, .03])
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return _placed(stepped, order)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Step-up p-values that bound the false discovery rate (J. R. Stat. Soc. B 57, 1995).

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


def _p_value(estimate: float, spread: Variance) -> float:
    from scipy.special import stdtr

    if spread.total == 0:
        return 1.0 if estimate == 0 else 0.0
    return 2 * float(stdtr(spread.degrees, -abs(estimate) / math.sqrt(spread.total)))


def _correlation(contrasts: Sequence[Contrast], variances: Sequence[Variance]) -> np.ndarray:
    """(m, m) correlation of the estimates: of users by influence values, of seeds by deltas.

    Two comparisons with one reference over the same seeds share what such deltas share, averaged
    over the family: single pairs of a handful of seeds say little.
    """
    moved = np.stack([contrast.mean_influence for contrast in contrasts])  # (m, G)
    users = moved.shape[1]
    covariance = users / max(users - 1, 1) * moved @ moved.T
    spread = np.sqrt([part.seeds for part in variances])
    same = np.array([[_related(one, other) for other in contrasts] for one in contrasts])
    shared = _mean_correlation(contrasts) * same
    np.fill_diagonal(shared, 1.0)
    covariance += shared * np.outer(spread, spread)
    scale = np.sqrt(np.diag(covariance))
    scale[scale == 0] = 1.0
    correlation = covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def _mean_correlation(contrasts: Sequence[Contrast]) -> float:
    """Of the deltas of related comparisons with two seeds or more; 0 if there are none."""
    found = []
    for place, one in enumerate(contrasts):
        for other in contrasts[:place]:
            if _related(one, other) and len(one.seeds) > 1:
                together = np.stack([one.delta, other.delta])
                if together.std(axis=1).min() > 0:
                    found.append(np.corrcoef(together)[0, 1])
    return float(np.clip(np.mean(found), 0.0, 1.0)) if found else 0.0


def _related(one: Contrast, other: Contrast) -> bool:
    return one.seeds == other.seeds and one.reference == other.reference


def _largest(correlation: np.ndarray) -> np.ndarray:
    """(DRAWS,) the largest |z| of the family where nothing is different."""
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return np.abs(_normal(len(correlation)) @ root.T).max(axis=1)


@lru_cache(maxsize=2)
def _normal(count: int) -> np.ndarray:
    """(DRAWS, count) standard normal, always the same."""
    return stream(0, "family").standard_normal((DRAWS, count))
