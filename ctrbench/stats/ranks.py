"""Mean ranks of contenders over several data sets, with tests of their differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.errors import DataError
from ctrbench.stats.distributions import f_tail, ranks
from ctrbench.stats.family import holm
from ctrbench.stats.student import SIGNIFICANCE


@dataclass(frozen=True)
class Pair:
    """The comparison of two contenders over all data sets."""

    one: str
    other: str
    wins: int  # data sets on which `one` is better; ties count for neither
    losses: int
    p_value: float  # two-sided
    p_holm: float  # adjusted for all pairs


@dataclass(frozen=True)
class Ranking:
    """Contenders by mean rank over data sets, best first."""

    contenders: tuple[str, ...]
    mean_ranks: tuple[float, ...]  # 1 is best
    datasets: int
    p_global: float | None  # of the global null hypothesis; None for two contenders
    pairs: tuple[Pair, ...]

    @property
    def least_p(self) -> float:
        """Return the smallest p-value that a pair can have, before Holm's correction."""
        return min(1.0, 2 / 2**self.datasets)

    @property
    def datasets_needed(self) -> int:
        """Return the fewest data sets on which a pair can differ significantly after correction."""
        return math.ceil(math.log2(2 * len(self.pairs) / SIGNIFICANCE))


def rank(scores: ArrayLike, contenders: Sequence[str]) -> Ranking:
    """Rank contenders over data sets.

    The global test is Friedman's with Iman and Davenport's F. Pairs are compared by Wilcoxon's
    exact signed-rank test with Holm's correction, so that a pair's own p-value does not depend on
    the other contenders.

    Args:
        scores: (n, k) float, one row per data set; higher is better.
        contenders: The k names.

    Raises:
        DataError: There are fewer than two data sets or contenders, or a score is missing.

    Source: Demsar 2006, JMLR 7, 1-30; Benavoli, Corani and Mangili 2016, JMLR 17, 1-10 for pairs.
    """
    values = np.asarray(scores, np.float64)
    if values.ndim != 2 or values.shape[1] != len(contenders):
        raise DataError(f"scores of shape {values.shape} do not fit {len(contenders)} contenders.")
    if min(values.shape) < 2:
        raise DataError(
            "ranks need at least two data sets and two contenders; there are "
            f"{values.shape[0]} and {values.shape[1]}."
        )
    if not np.isfinite(values).all():
        raise DataError("a score is missing or not finite: every contender needs every data set.")
    placed = ranks(-values)  # ties share the mean of their ranks
    places = list(combinations(range(len(contenders)), 2))
    p_values = [_signed_rank(values[:, i] - values[:, j]) for i, j in places]
    pairs = [
        Pair(
            contenders[i],
            contenders[j],
            int((values[:, i] > values[:, j]).sum()),
            int((values[:, i] < values[:, j]).sum()),
            p,
            p_holm,
        )
        for (i, j), p, p_holm in zip(places, p_values, holm(p_values), strict=True)
    ]
    order = np.argsort(placed.mean(axis=0), kind="stable")
    return Ranking(
        contenders=tuple(contenders[int(i)] for i in order),
        mean_ranks=tuple(float(placed[:, i].mean()) for i in order),
        datasets=len(values),
        p_global=_global_p(placed) if len(contenders) > 2 else None,
        pairs=tuple(pairs),
    )


def _signed_rank(differences: np.ndarray) -> float:
    """Return the exact two-sided p-value of the signed-rank test; zero differences are dropped."""
    differences = differences[differences != 0]
    if not len(differences):
        return 1.0
    doubled = np.round(2 * ranks(np.abs(differences))).astype(int)  # ties make halves
    counts = np.ones(1)
    for one in doubled.tolist():  # how many of the 2^n signs give each sum of ranks
        longer = np.zeros(len(counts) + one)
        longer[: len(counts)] += counts
        longer[one:] += counts
        counts = longer
    observed = int(doubled[differences > 0].sum())
    extreme = min(observed, int(doubled.sum()) - observed)
    return float(min(1.0, 2 * counts[: extreme + 1].sum() / counts.sum()))


def _global_p(placed: np.ndarray) -> float:
    count, width = placed.shape
    between = count * float(np.sum((placed.mean(axis=0) - (width + 1) / 2) ** 2))
    within = float(np.sum((placed - placed.mean(axis=1, keepdims=True)) ** 2)) / (width - 1)
    if within == 0:
        return 1.0  # all tied everywhere
    chi_squared = between * count / within
    most = count * (width - 1)
    if chi_squared >= most - 1e-9:
        return float(math.factorial(width) ** (1 - count))  # one order everywhere: exact
    statistic = (count - 1) * chi_squared / (most - chi_squared)
    return f_tail(width - 1, (width - 1) * (count - 1), statistic)
