"""A paired difference of two arms over seeds and users, and its variance.

Users and seeds are crossed: the same users judge every seed's pair of models. The variance of the
mean difference has a part that only more users shrink and one that only more seeds do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Contrast:
    """Differences of one metric between two arms of S seeds, judged by G users."""

    seeds: tuple[int, ...]
    delta: np.ndarray  # (S,) one difference per seed
    influence: np.ndarray  # (S, G) what each user adds to it; each row sums to 0
    arm: str = ""
    reference: str = ""  # what the arm is set against
    kind: str = ""  # comparisons of one kind may vary alike over seeds; empty: like no other

    @property
    def estimate(self) -> float:
        """The mean over seeds."""
        return float(self.delta.mean())

    @property
    def mean_influence(self) -> np.ndarray:
        """(G,) averaged over seeds."""
        return self.influence.mean(axis=0)

    def reversed(self) -> Contrast:
        """Reference minus arm."""
        return Contrast(
            self.seeds, -self.delta, -self.influence, self.reference, self.arm, self.kind
        )


@dataclass(frozen=True)
class Measured:
    """A metric of one arm, by seed."""

    name: str
    values: Mapping[int, float]  # seed -> metric
    influence: Mapping[int, np.ndarray]  # seed -> (G,), users in one order everywhere


def pair(arm: Measured, reference: Measured, kind: str = "") -> Contrast | None:
    """Arm minus reference on the seeds that both have; None if they share none."""
    seeds = tuple(sorted(arm.influence.keys() & reference.influence.keys()))
    if not seeds:
        return None
    delta = np.array([arm.values[seed] - reference.values[seed] for seed in seeds])
    moved = np.stack([arm.influence[seed] - reference.influence[seed] for seed in seeds])
    return Contrast(seeds, delta, moved, arm.name, reference.name, kind)


@dataclass(frozen=True)
class Variance:
    """Of a mean difference, split by what would shrink it, and how well each part is known."""

    users: float  # shrinks with test users alone
    user_degrees: float  # of freedom with which it is known
    seeds: float  # shrinks with more seeds; what users and seeds make together is in here
    seed_degrees: float  # 0: not known at all, for want of a second seed

    @property
    def total(self) -> float:
        """Users and seeds."""
        return self.users + self.seeds

    @property
    def standard_error(self) -> float:
        """Root of the total."""
        return math.sqrt(self.total)

    @property
    def degrees(self) -> float:
        """Of the total, by Satterthwaite 1946 (Biometrics Bulletin 2); for the record only."""
        parts = ((self.users, self.user_degrees), (self.seeds, self.seed_degrees))
        spread = sum(part**2 / degrees for part, degrees in parts if part)
        return self.total**2 / spread if spread else self.user_degrees


def user_variance(contrast: Contrast) -> float:
    """Of the seed-averaged difference, users being sampled; NaN for a single user.

    It holds the users' own part and, divided by S, that of the interaction of users and seeds.
    """
    users = contrast.influence.shape[1]
    if users < 2:
        return math.nan
    return users / (users - 1) * float(np.sum(contrast.mean_influence**2))


def user_degrees(contrast: Contrast) -> float:
    """Of freedom of the user variance: few where few users carry the difference.

    Twice its square over its own variance, that one from fourth moments; G - 1 at most, G being
    the users that move the difference at all.
    """
    squares = contrast.mean_influence**2
    most = max(int(np.count_nonzero(squares)) - 1, 1)
    fourth = float(np.sum(squares**2))
    effective = 3 * float(squares.sum()) ** 2 / fourth - 1 if fourth else most
    return float(min(most, effective))


def interaction_variance(contrast: Contrast) -> float:
    """Of one seed's difference: the part that user and seed make together; 0 with one seed."""
    seeds, users = contrast.influence.shape
    if seeds < 2 or users < 2:
        return 0.0
    spread = contrast.influence.var(axis=0, ddof=1)
    return users / (users - 1) * float(spread.sum())
