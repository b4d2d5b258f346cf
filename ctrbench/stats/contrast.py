"""A paired difference of two arms over seeds and users, and how far it can be trusted.

Users and seeds are crossed: the same users judge every seed's pair of models. The variance of the
mean difference has a part that only more users shrink and one that only more seeds do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Contrast:
    """Differences of one metric between two arms of S seeds, judged by G users."""

    seeds: tuple[int, ...]
    delta: np.ndarray  # (S,) one difference per seed
    influence: np.ndarray  # (S, G) what each user adds to it; each row sums to 0
    reference: str = ""  # what the arm is set against; contrasts with one share its noise

    @property
    def estimate(self) -> float:
        """The mean over seeds."""
        return float(self.delta.mean())

    @property
    def mean_influence(self) -> np.ndarray:
        """(G,) averaged over seeds."""
        return self.influence.mean(axis=0)


def pair(
    values: Mapping[int, float],
    influence: Mapping[int, np.ndarray],
    reference_values: Mapping[int, float],
    reference_influence: Mapping[int, np.ndarray],
    reference: str = "",
) -> Contrast | None:
    """Arm minus reference on the seeds that both have; None if they share none.

    Args:
        values: seed -> metric of the arm.
        influence: seed -> (G,) its influence values, users in one order everywhere.
        reference_values: seed -> metric of what it is set against.
        reference_influence: seed -> (G,).
        reference: the name of what it is set against.
    """
    seeds = tuple(sorted(influence.keys() & reference_influence.keys()))
    if not seeds:
        return None
    delta = np.array([values[seed] - reference_values[seed] for seed in seeds])
    moved = np.stack([influence[seed] - reference_influence[seed] for seed in seeds])
    return Contrast(seeds, delta, moved, reference)


@dataclass(frozen=True)
class Seeds:
    """What is known of how much a difference varies from seed to seed."""

    variance: float  # of one seed's difference, the sampling of users included
    degrees: float  # of freedom with which it is known
    pooled: bool  # over the comparisons of a family


@dataclass(frozen=True)
class Variance:
    """Of a mean difference, split by where it comes from."""

    users: float  # shrinks with test users alone
    seeds: float  # shrinks with seeds alone
    degrees: float  # Satterthwaite's

    @property
    def total(self) -> float:
        """Users and seeds."""
        return self.users + self.seeds

    @property
    def standard_error(self) -> float:
        """Root of the total."""
        return math.sqrt(self.total)


def user_variance(contrast: Contrast) -> float:
    """Of the seed-averaged difference, users being sampled; NaN for a single user.

    It holds the users' own part and, divided by S, that of the interaction of users and seeds.
    """
    users = contrast.influence.shape[1]
    if users < 2:
        return math.nan
    return users / (users - 1) * float(np.sum(contrast.mean_influence**2))


def interaction_variance(contrast: Contrast) -> float:
    """Of one seed's difference: the part that user and seed make together; 0 with one seed."""
    seeds, users = contrast.influence.shape
    if seeds < 2 or users < 2:
        return 0.0
    spread = contrast.influence.var(axis=0, ddof=1)
    return users / (users - 1) * float(spread.sum())


def own_seeds(contrast: Contrast) -> Seeds | None:
    """How the difference varies over its own seeds; None with one seed."""
    count = len(contrast.seeds)
    if count < 2:
        return None
    return Seeds(float(contrast.delta.var(ddof=1)), count - 1, pooled=False)


def pooled_seeds(contrasts: Sequence[Contrast]) -> list[Seeds | None]:
    """Each contrast's seed variance, pooled over those of the family that may share one.

    Pooled are contrasts with one reference over the same seeds, if their variances pass Bartlett's
    test at 1 %. Sharing the reference they share its noise: m of them with mean correlation r have
    (S - 1) / (1 / m + (1 - 1 / m) r^2) degrees of freedom, not m (S - 1).
    """
    found: list[Seeds | None] = [own_seeds(contrast) for contrast in contrasts]
    groups: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for place, contrast in enumerate(contrasts):
        groups.setdefault((contrast.reference, contrast.seeds), []).append(place)
    for (_, seeds), places in groups.items():
        if len(seeds) < 2 or len(places) < 2:
            continue
        deltas = np.stack([contrasts[place].delta for place in places])  # (m, S)
        if not _homogeneous(deltas):
            continue
        shared = _shared(deltas)
        for place in places:
            found[place] = shared
    return found


def variance(contrast: Contrast, seeds: Seeds | None) -> Variance:
    """Of the mean difference; with one seed the seeds' part is unknown and left out.

    The interaction of users and seeds stands in both parts and is taken out of the second. Degrees
    of freedom by Satterthwaite 1946 (Biometrics Bulletin 2) over the two estimates.
    """
    users, count = user_variance(contrast), len(contrast.seeds)
    degrees = contrast.influence.shape[1] - 1
    if seeds is None:
        return Variance(users, 0.0, degrees)
    over_seeds = max(seeds.variance - interaction_variance(contrast), 0.0) / count
    total = users + over_seeds
    spread = users**2 / degrees + (seeds.variance / count) ** 2 / seeds.degrees
    return Variance(users, over_seeds, total**2 / spread if spread else degrees)


def _homogeneous(deltas: np.ndarray) -> bool:
    from scipy.stats import bartlett

    spread = deltas.var(axis=1)
    if not (spread > 0).all():
        return False
    return bool(bartlett(*deltas).pvalue > 0.01)


def _shared(deltas: np.ndarray) -> Seeds:
    count, seeds = deltas.shape
    covariance = np.cov(deltas)
    mean = float(np.diag(covariance).mean())
    between = (covariance.sum() - np.trace(covariance)) / (count * (count - 1))
    correlation = float(np.clip(between / mean, 0.0, 1.0))
    degrees = (seeds - 1) / (1 / count + (1 - 1 / count) * correlation**2)
    return Seeds(mean, degrees, pooled=True)
