"""A paired difference of two arms over seeds, users and items, and its variance.

Users, items and seeds are crossed: the same users judge the same items with every seed's pair of
models. The variance of the mean difference has a part that only more users shrink, one that only
more items do, and one that only more seeds do.

Source: Cameron, Gelbach and Miller 2011, Journal of Business and Economic Statistics 29, for the
first two: the variance clustered by user, plus that clustered by item, less that clustered by pairs
of user and item.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

FEWEST_USERS = 100  # evaluable; below, a few people decide
FEWEST_ITEMS = 20.0  # of equal weight; below, item variance is known poorly
FEWEST_WORTH = 10.0  # users of equal weight; below, intervals hold less surely
MOST_PULL = 0.5  # of the variance, made up for where a few items hold most of the weight


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
    items: np.ndarray | None = None  # (S, I) what each item adds; None: other items are left out
    pairs: np.ndarray | None = None  # (S, R) sketch of what pairs of user and item add
    items_worth: float = math.inf  # items of equal weight that would say as much
    against: str = ""  # class of the reference: kinds in one class inform each other; empty: none
    items_each: int = 2  # items in a unit of the metric: 2 in a pair of impressions, 1 in a mean

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
            items=None if self.items is None else -self.items,
            pairs=None if self.pairs is None else -self.pairs,
        )

    def less(self, other: Contrast, ratio: float) -> Contrast:
        """Return this difference minus `ratio` times another one of the same seeds and test set."""
        return replace(
            self,
            delta=self.delta - ratio * other.delta,
            influence=self.influence - ratio * other.influence,
            items=_less(self.items, other.items, ratio),
            pairs=_less(self.pairs, other.pairs, ratio),
        )


def _less(ours: np.ndarray | None, theirs: np.ndarray | None, ratio: float) -> np.ndarray | None:
    return None if ours is None or theirs is None else ours - ratio * theirs


@dataclass(frozen=True)
class Measured:
    """A metric of one arm, by seed."""

    name: str
    values: Mapping[int, float]  # seed -> metric
    influence: Mapping[int, np.ndarray]  # seed -> (G,), users in one order everywhere
    worth: float = math.inf  # as in Contrast; of the test set, so the same for every arm and seed
    items: Mapping[int, np.ndarray] | None = None  # seed -> (I,), items in one order everywhere
    pairs: Mapping[int, np.ndarray] | None = None  # seed -> (R,)
    items_worth: float = math.inf
    items_each: int = 2  # as in Contrast


def pair(arm: Measured, reference: Measured, kind: str = "", against: str = "") -> Contrast | None:
    """Return arm minus reference on the seeds that both have; None if they share none.

    Args:
        arm: of any seeds.
        reference: of the same users and items.
        kind: see `Contrast.kind`.
        against: see `Contrast.against`.
    """
    seeds = tuple(sorted(arm.influence.keys() & reference.influence.keys()))
    if not seeds:
        return None
    delta = np.array([arm.values[seed] - reference.values[seed] for seed in seeds])
    moved = np.stack([arm.influence[seed] - reference.influence[seed] for seed in seeds])
    found = Contrast(
        seeds,
        delta,
        moved,
        arm.name,
        reference.name,
        kind,
        min(arm.worth, reference.worth),
        items_worth=min(arm.items_worth, reference.items_worth),
        items_each=arm.items_each,
        against=against,
    )
    parts = {}
    for name in ("items", "pairs"):
        ours, theirs = getattr(arm, name), getattr(reference, name)
        if ours is None or theirs is None or not ours.keys() & theirs.keys() >= set(seeds):
            return found
        parts[name] = np.stack([ours[seed] - theirs[seed] for seed in seeds])
    return replace(found, **parts)


@dataclass(frozen=True)
class Variance:
    """Of a mean difference, split by what would shrink it, and how well each part is known."""

    users: float  # shrinks with test users alone
    user_degrees: float  # of freedom with which it is known
    seeds: float  # shrinks with more seeds; what users and seeds make together is in here
    seed_degrees: float  # 0: not known at all, for want of a second seed
    items: float = 0.0  # shrinks with test items alone
    item_degrees: float = math.inf
    with_items: bool = False  # False: item sums are unknown, the variance holds for these items

    @property
    def sampled(self) -> float:
        """Users and items."""
        return self.users + self.items

    @property
    def sampled_degrees(self) -> float:
        """Of freedom of users and items together, by Satterthwaite 1946."""
        parts = ((self.users, self.user_degrees), (self.items, self.item_degrees))
        spread = sum(part**2 / degrees for part, degrees in parts if part)
        return self.sampled**2 / spread if spread else self.user_degrees

    @property
    def total(self) -> float:
        """Users, items and seeds."""
        return self.sampled + self.seeds

    @property
    def standard_error(self) -> float:
        """Root of the total."""
        return math.sqrt(self.total)

    @property
    def degrees(self) -> float:
        """Of the total, by Satterthwaite 1946 (Biometrics Bulletin 2); for the record only."""
        parts = ((self.sampled, self.sampled_degrees), (self.seeds, self.seed_degrees))
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


def item_variance(contrast: Contrast) -> float:
    """Of the seed-averaged difference: what impressions of an item have in common across users.

    May be negative, for it is the difference of two estimates; 0 where items are left out.

    Source: Cameron, Gelbach and Miller 2011, equation 2.11: the item term less the term of pairs.
    """
    if contrast.items is None or contrast.pairs is None:
        return 0.0
    moved, pairs = contrast.items.mean(axis=0), contrast.pairs.mean(axis=0)
    return float(np.sum(moved**2) - np.sum(pairs**2))


def item_interaction_variance(contrast: Contrast) -> float:
    """Of one seed's difference: the part that item and seed make together; 0 with one seed."""
    if contrast.items is None or contrast.pairs is None or len(contrast.seeds) < 2:
        return 0.0
    spread = (values.var(axis=0, ddof=1).sum() for values in (contrast.items, contrast.pairs))
    return float(next(spread) - next(spread))


def item_pull(contrast: Contrast) -> float:
    """Return what share of the sampling variance is missing from the cross-user item term.

    Influence values are deviations from the estimate, not from the truth. An item of share q of the
    estimate's units is drawn to it by q times the error, and its squared sum falls short by q^2
    times the variance of the whole: sum(q^2) over items. Each pair of impressions shows two items,
    so that shares add up to 2 for AUC and GAUC and the sum is 4 over the effective number of items.
    """
    return min(contrast.items_each**2 / contrast.items_worth, MOST_PULL)


def item_degrees(contrast: Contrast) -> float:
    """Of freedom of the item variance: few where few items carry the difference."""
    assert contrast.items is not None
    moved = np.abs(contrast.items.mean(axis=0))
    squares = float(np.sum(moved**2))
    most = max(int(np.count_nonzero(moved)) - 1, 1)
    effective = math.pi / 2 * float(moved.sum()) ** 2 / squares - 1 if squares else most
    return float(min(most, max(min(effective, contrast.items_worth - 1), 1.0)))
