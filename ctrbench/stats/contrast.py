"""A paired difference of two arms over seeds, users and items, and its variance.

Users, items and seeds are crossed factors: every seed's pair of models is evaluated on the same
users and items. The variance of the mean difference is the sum of three parts. Only more users
reduce the first, only more items the second, and only more seeds the third.

Source: Cameron, Gelbach and Miller 2011, Journal of Business and Economic Statistics 29, for users
and items: the variance clustered by user, plus the variance clustered by item, minus the variance
clustered by (user, item) pair.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

FEWEST_USERS = 100  # evaluable users; with fewer, a handful of users decides the result
FEWEST_ITEMS = 20.0  # effective number of items; with fewer, item variance is imprecise
FEWEST_EFFECTIVE_USERS = 10.0  # effective number of users; with fewer, intervals are less reliable
MOST_PULL = 0.5  # largest share of the variance that `item_pull` corrects for


@dataclass(frozen=True)
class Contrast:
    """The differences of one metric between two arms, for S seeds, G users and I items."""

    seeds: tuple[int, ...]
    delta: np.ndarray  # (S,) one difference per seed
    influence: np.ndarray  # (S, G) influence value of each user
    arm: str = ""
    reference: str = ""  # the arm it is compared with
    kind: str = ""  # contrasts of one kind share their seed variance; empty: not shared
    effective_users: float = math.inf  # effective number of users, from the weights
    items: np.ndarray | None = None  # (S, I) influence of each item; None: no item variance
    pairs: np.ndarray | None = None  # (S, R) sketch of the influence of (user, item) pairs
    effective_items: float = math.inf  # effective number of items
    against: str = ""  # class of the reference; kinds of one class inform each other
    items_each: int = 2  # items per unit of the metric: 2 for pairs of impressions, 1 for a mean

    @property
    def estimate(self) -> float:
        """Return the mean difference over seeds."""
        return float(self.delta.mean())

    @property
    def mean_influence(self) -> np.ndarray:
        """Return the (G,) influence values, averaged over seeds."""
        return self.influence.mean(axis=0)

    def reversed(self) -> Contrast:
        """Return reference minus arm."""
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
        """Return this difference minus `ratio` times another one.

        Args:
            other: On the same seeds and test set.
            ratio: Any finite number.
        """
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
    """A metric of one arm, with its influence values, by seed."""

    name: str
    values: Mapping[int, float]  # seed -> metric
    influence: Mapping[int, np.ndarray]  # seed -> (G,); every arm has the same order of users
    effective_users: float = math.inf  # as in Contrast; equal for all arms and seeds
    items: Mapping[int, np.ndarray] | None = None  # seed -> (I,); the same order of items
    pairs: Mapping[int, np.ndarray] | None = None  # seed -> (R,)
    effective_items: float = math.inf
    items_each: int = 2  # as in Contrast


def pair(arm: Measured, reference: Measured, kind: str = "", against: str = "") -> Contrast | None:
    """Return arm minus reference on their common seeds; None if they share no seed.

    Args:
        arm: The arm.
        reference: The arm it is compared with, on the same users and items.
        kind: See `Contrast.kind`.
        against: See `Contrast.against`.
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
        min(arm.effective_users, reference.effective_users),
        effective_items=min(arm.effective_items, reference.effective_items),
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
    """The variance of a mean difference by source, with the degrees of freedom of each part."""

    users: float  # only more test users reduce it
    user_degrees: float  # degrees of freedom of its estimate
    seeds: float  # more seeds reduce it; includes the interaction of users and seeds
    seed_degrees: float  # 0: unknown, because there is one seed
    items: float = 0.0  # only more test items reduce it
    item_degrees: float = math.inf
    with_items: bool = False  # False: no item sums, so the variance is conditional on the items

    @property
    def sampled(self) -> float:
        """Return the variance due to users and items."""
        return self.users + self.items

    @property
    def sampled_degrees(self) -> float:
        """Return the degrees of freedom of users and items together, by Satterthwaite 1946."""
        parts = ((self.users, self.user_degrees), (self.items, self.item_degrees))
        spread = sum(part**2 / degrees for part, degrees in parts if part)
        return self.sampled**2 / spread if spread else self.user_degrees

    @property
    def total(self) -> float:
        """Return the variance due to users, items and seeds."""
        return self.sampled + self.seeds

    @property
    def standard_error(self) -> float:
        """Return the square root of the total variance."""
        return math.sqrt(self.total)

    @property
    def degrees(self) -> float:
        """Return the degrees of freedom of the total variance.

        Intervals do not use them; see `ctrbench.stats.student`.

        Source: Satterthwaite 1946, Biometrics Bulletin 2.
        """
        parts = ((self.sampled, self.sampled_degrees), (self.seeds, self.seed_degrees))
        spread = sum(part**2 / degrees for part, degrees in parts if part)
        return self.total**2 / spread if spread else self.user_degrees


def user_variance(contrast: Contrast) -> float:
    """Return the variance of the seed-averaged difference due to the sampling of users.

    It includes the interaction of users and seeds, divided by S. It is NaN if a single user carries
    the difference, or if there is one seed and no user differs.
    """
    users = carrying_users(contrast)
    if users < 2 and not (users == 0 and (contrast.estimate == 0 or len(contrast.seeds) > 1)):
        return math.nan
    return users / max(users - 1, 1) * float(np.sum(contrast.mean_influence**2))


def carrying_users(contrast: Contrast) -> int:
    """Return the number of users with a nonzero influence value on any seed.

    A user with one class only has no influence on GAUC.
    """
    return int(np.count_nonzero(contrast.influence.any(axis=0)))


def user_degrees(contrast: Contrast) -> float:
    """Return the degrees of freedom of the user variance; few if few users carry the difference.

    The effective number of users is the number of normal influence values that would have the same
    sum of absolute values and the same sum of squares. The degrees of freedom are this number minus
    one. They are at most G - 1, where G counts the users with influence, and at most the effective
    number of users by weight, minus one.

    Satterthwaite's own formula requires fourth moments, which a few users do not provide: two users
    that carry the whole difference would get five degrees. The degrees of Bell and McCaffrey, from
    the weights, are too conservative: 1 % false alarms at a nominal 5 %.
    """
    moved = np.abs(contrast.mean_influence)
    squares = float(np.sum(moved**2))
    most = max(int(np.count_nonzero(moved)) - 1, 1)
    effective = math.pi / 2 * float(moved.sum()) ** 2 / squares - 1 if squares else most
    return float(min(most, max(min(effective, contrast.effective_users - 1), 1.0)))


def interaction_variance(contrast: Contrast) -> float:
    """Return the variance of one seed's difference due to the user-seed interaction.

    It is 0 with one seed.
    """
    seeds, users = len(contrast.seeds), carrying_users(contrast)
    if seeds < 2 or users < 2:
        return 0.0
    spread = contrast.influence.var(axis=0, ddof=1)
    return users / (users - 1) * float(spread.sum())


def item_variance(contrast: Contrast) -> float:
    """Return the variance of the seed-averaged difference due to items, across users.

    It may be negative, because it is a difference of two estimates. It is 0 without item sums.

    Source: Cameron, Gelbach and Miller 2011, equation 2.11: the item term minus the pair term.
    """
    if contrast.items is None or contrast.pairs is None:
        return 0.0
    moved, pairs = contrast.items.mean(axis=0), contrast.pairs.mean(axis=0)
    return float(np.sum(moved**2) - np.sum(pairs**2))


def item_interaction_variance(contrast: Contrast) -> float:
    """Return the variance of one seed's difference due to the item-seed interaction.

    It is 0 with one seed.
    """
    if contrast.items is None or contrast.pairs is None or len(contrast.seeds) < 2:
        return 0.0
    spread = (values.var(axis=0, ddof=1).sum() for values in (contrast.items, contrast.pairs))
    return float(next(spread) - next(spread))


def item_pull(contrast: Contrast) -> float:
    """Return the share of the sampling variance that the cross-user item term underestimates.

    Influence values are deviations from the estimate, not from the true value. If an item holds a
    share q of the units, it pulls the estimate towards itself by q times the error. Its squared sum
    is then too small by q^2 times the total variance. The bias is the sum of q^2 over items. Each
    pair of impressions contains two items, so for AUC and GAUC the shares sum to 2, and the sum of
    q^2 is 4 divided by the effective number of items.
    """
    return min(contrast.items_each**2 / contrast.effective_items, MOST_PULL)


def item_degrees(contrast: Contrast) -> float:
    """Return the degrees of freedom of the item variance; see `user_degrees`."""
    assert contrast.items is not None
    moved = np.abs(contrast.items.mean(axis=0))
    squares = float(np.sum(moved**2))
    most = max(int(np.count_nonzero(moved)) - 1, 1)
    effective = math.pi / 2 * float(moved.sum()) ** 2 / squares - 1 if squares else most
    return float(min(most, max(min(effective, contrast.effective_items - 1), 1.0)))
