"""A paired difference of two arms over seeds and users, and its variance.

Users and seeds are crossed: the same users judge every seed's pair of models. The variance of the
mean difference has a part that only more users shrink and one that only more seeds do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Contrast:
    """Differences of one metric between two arms of S seeds, judged by G users."""

    seeds: tuple[int, ...]
    delta: np.ndarray  # (S,) one difference per seed
    influence: np.ndarray  # (S, G) what each user adds to it
    arm: str = ""
    reference: str = ""  # what the arm is set against
    kind: str = ""  # comparisons of one kind may vary alike over seeds; empty: like no other
    worth: float = math.inf  # users of equal weight that would say as much, as the weights have it

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
        return replace(
            self,
            delta=-self.delta,
            influence=-self.influence,
            arm=self.reference,
            reference=self.arm,
        )


@dataclass(frozen=True)
class Measured:
    """A metric of one arm, by seed."""

    name: str
    values: Mapping[int, float]  # seed -> metric
    influence: Mapping[int, np.ndarray]  # seed -> (G,), users in one order everywhere
    worth: float = math.inf  # as in Contrast; of the test set, so the same for every arm and seed


def pair(arm: Measured, reference: Measured, kind: str = "") -> Contrast | None:
    """Arm minus reference on the seeds that both have; None if they share none."""
    seeds = tuple(sorted(arm.influence.keys() & reference.influence.keys()))
    if not seeds:
        return None
    delta = np.array([arm.values[seed] - reference.values[seed] for seed in seeds])
    moved = np.stack([arm.influence[seed] - reference.influence[seed] for seed in seeds])
    worth = min(arm.worth, reference.worth)
    return Contrast(seeds, delta, moved, arm.name, reference.name, kind, worth)


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
    """Of the seed-averaged difference, users being sampled.

    It holds the users' own part and, divided by S, that of the interaction of users and seeds. NaN
    where a single user carries the difference, or one seed is all there is and no user differs.
    """
    users = carrying_users(contrast)
    if users < 2 and not (users == 0 and (contrast.estimate == 0 or len(contrast.seeds) > 1)):
        return math.nan
    return users / max(users - 1, 1) * float(np.sum(contrast.mean_influence**2))


def carrying_users(contrast: Contrast) -> int:
    """Users that move the difference with any seed; a user of one class does not move GAUC."""
    return int(np.count_nonzero(contrast.influence.any(axis=0)))


def user_degrees(contrast: Contrast) -> float:
    """Of freedom of the user variance: few where few users carry the difference.

    The users that normal influence values of this sum and this sum of squares would be of, less
    one; G - 1 at most, G being the users that move the difference, and no more than the users'
    weights are worth, less one. Fourth moments, as in Satterthwaite's own argument, are too large a
    thing to ask of a few users: two that carry it all would have five degrees. Those of Bell and
    McCaffrey, from the weights, are too few: 1 % false alarms where 5 are asked for.
    """
    moved = np.abs(contrast.mean_influence)
    squares = float(np.sum(moved**2))
    most = max(int(np.count_nonzero(moved)) - 1, 1)
    effective = math.pi / 2 * float(moved.sum()) ** 2 / squares - 1 if squares else most
    return float(min(most, max(min(effective, contrast.worth - 1), 1.0)))


def interaction_variance(contrast: Contrast) -> float:
    """Of one seed's difference: the part that user and seed make together; 0 with one seed."""
    seeds, users = len(contrast.seeds), carrying_users(contrast)
    if seeds < 2 or users < 2:
        return 0.0
    spread = contrast.influence.var(axis=0, ddof=1)
    return users / (users - 1) * float(spread.sum())
