"""How much each user and item moves a metric: the parts of closed-form clustered variances.

To first order a metric of one log is its true value plus a sum of one number per impression. Two
models on the same impressions move together, so the error of their difference comes from the
difference of these numbers, summed by user (other users) and by item (other items).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctrbench.errors import DataError
from ctrbench.metrics._runs import ascending

PAIR_BUCKETS = 2048


@dataclass(frozen=True)
class Items:
    """What each of I items adds to a metric, and a sketch of what each (user, item) pair adds.

    The influence value of an impression is the sum over all pairs of a click and a non-click that
    it is part of. The item variance is the covariance of impressions that show one item to
    different users: the sum of squares over items less that over (user, item) pairs (Cameron,
    Gelbach and Miller 2011, equation 2.11). There are up to N such pairs, so only a sketch of them
    is kept: `PAIR_BUCKETS` signed sums, whose sum of squares estimates theirs without bias. Its
    relative standard error is at most sqrt(2 / PAIR_BUCKETS), 3 %, more in a rare draw where two of
    a few large pairs share a bucket. Both are linear in the model, so that those of a difference of
    two models are differences.
    """

    per_item: np.ndarray  # (I,) ascending by item id
    pairs: np.ndarray  # (PAIR_BUCKETS,)
    worth: float  # items of equal weight that would say as much, see `worth_of`
    each: int = 2  # items in a unit of the metric: 2 in a pair of impressions, 1 in a mean


@dataclass(frozen=True)
class Influence:
    """A metric and what each of its G users adds to its deviation; `_leverage` is in the values."""

    value: float
    per_user: np.ndarray  # (G,)
    worth: float  # users of equal weight that would say as much, see `worth_of`
    items: Items | None = None  # None: no items were given

    @property
    def standard_error(self) -> float:
        """Of the metric, users being the unit that is sampled; NaN for a single user."""
        return standard_error(self.per_user)


def standard_error(per_user: np.ndarray) -> float:
    """Root of the sum of squares over the G users, times G / (G - 1); NaN for a single user.

    Source: Obuchowski 1997, Biometrics 53, for clustered AUC; the linearised variance of a
    weighted mean for GAUC and log loss.

    >>> round(standard_error(np.array([.1, -.1])), 6)
    0.2
    """
    users = len(per_user)
    if users < 2:
        return math.nan
    return math.sqrt(users / (users - 1) * float(np.sum(np.square(per_user))))


def places(clicks: np.ndarray, p: np.ndarray, weights: np.ndarray, group: np.ndarray) -> np.ndarray:
    """(N,) of a click the weight of its group's non-clicks below it, as a share; ties one half.

    Of a non-click, the share of its group's clicks above it; 0 in a group of one class.
    """
    order = ascending(p)
    order = order[np.argsort(group[order], kind="stable")]
    sorted_p, of_group = p[order], group[order]
    first = np.concatenate([[True], of_group[1:] != of_group[:-1]])
    new = first | np.concatenate([[True], sorted_p[1:] != sorted_p[:-1]])
    starts, tie = np.flatnonzero(new), np.cumsum(new) - 1
    group_start = np.flatnonzero(first[starts])  # ties at which a group begins
    run = np.cumsum(first[starts]) - 1  # group of each tie
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for column in (weights * clicks, weights * ~clicks):
        sums = np.add.reduceat(column[order], starts)
        below = np.cumsum(sums) - sums
        below -= below[group_start][run]
        total = np.add.reduceat(sums, group_start)[run]
        found.append((below + sums / 2, total))
    (yes_below, yes), (no_below, no) = found
    with np.errstate(invalid="ignore", divide="ignore"):
        of_click = np.where(no > 0, no_below / no, 0.0)
        of_other = np.where(yes > 0, 1 - yes_below / yes, 0.0)
    place = np.empty(len(p))
    place[order] = np.where(clicks[order], of_click[tie], of_other[tie])
    return place


def owners(group: np.ndarray, user: np.ndarray, groups: int) -> np.ndarray:
    """(groups,) the user of each group.

    Raises:
        DataError: A group holds impressions of two users.
    """
    owner = np.zeros(groups, np.int64)
    owner[group] = user
    split = np.flatnonzero(owner[group] != user)
    if len(split):
        raise DataError(
            f"{len(np.unique(group[split]))} of {groups} groups hold impressions of several users "
            f"(row {split[0]}, for one). Each value of group_id must belong to one user."
        )
    return owner


@dataclass(frozen=True)
class Sketch:
    """Where the impressions of an item, and of a pair of user and item, are summed up."""

    item: np.ndarray  # (N,) from 0, ascending with the id
    count: int  # I
    bucket: np.ndarray  # (N,)
    sign: np.ndarray  # (N,) 1 or -1

    @classmethod
    def of(cls, user_id: np.ndarray, item_id: np.ndarray) -> Sketch:
        """By a fixed hash of both ids."""
        ids, item = np.unique(item_id, return_inverse=True)
        bucket, sign = pair_buckets(user_id, item_id)
        return cls(item, len(ids), bucket, sign)

    def items(self, moved: np.ndarray, share: np.ndarray, each: int = 2) -> Items:
        """Sum what impressions add (N,), and their share in the metric's weights (N,)."""
        part = np.bincount(self.item, share, self.count)
        return Items(
            np.bincount(self.item, moved, self.count),
            np.bincount(self.bucket, self.sign * moved, PAIR_BUCKETS),
            worth_of(part),
            each,
        )


def pair_buckets(user_id: np.ndarray, item_id: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the sketch sums a pair of user and item, and with which sign.

    The hash is fixed, so that the sketches of two models subtract.

    Args:
        user_id: (N,) integers, or strings, which count by their rank.
        item_id: (N,) the same.

    Returns:
        (N,) int64 in [0, PAIR_BUCKETS), and (N,) float64, 1 or -1.

    Source: Charikar, Chen and Farach-Colton 2002, section 3.
    """
    user, item = (
        (ids if ids.dtype.kind in "biu" else np.unique(ids, return_inverse=True)[1])
        .astype(np.int64)
        .view(np.uint64)
        for ids in (np.asarray(user_id), np.asarray(item_id))
    )
    mixed = _mixed(_mixed(user) + item)
    bucket = (mixed % np.uint64(PAIR_BUCKETS)).astype(np.int64)
    return bucket, np.where(mixed >> np.uint64(63), 1.0, -1.0)


def _mixed(values: np.ndarray) -> np.ndarray:
    """(N,) uint64, each bit of which depends on all bits (the finaliser of splitmix64)."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def worth_of(part: np.ndarray) -> float:
    """Kish's effective number: users of equal weight whose mean would be known as well as this one.

    One over the sum of squares (Kish 1965, Survey Sampling, section 11.7). Less one, these are the
    degrees of freedom that a variance over users of uneven weight has at most.

    Args:
        part: (G,) share of each user in the weights of the mean.

    >>> worth_of(np.array([0.25, 0.25, 0.25, 0.25])), worth_of(np.array([1.0, 0.0]))
    (4.0, 1.0)
    """
    return 1 / float(np.sum(np.square(part)))


def leverage(part: np.ndarray, users: int | None = None) -> np.ndarray:
    """(G,) how much users that weigh a lot pull a mean to themselves, and so seem closer to it.

    A user's squared distance from the mean is expected to be 1 - 2 part + sum(part^2) times the
    variance of one user, all varying alike; the root of that is made up for (CR2 of Bell and
    McCaffrey 2002, Survey Methodology 28, where a user is one number). What `standard_error` does
    for all users alike, G / (G - 1), is divided out.

    Args:
        part: (G,) share of each user in the weights of the mean.
        users: G of the divisor; None: those that weigh anything.
    """
    count = np.count_nonzero(part) if users is None else users
    return np.sqrt((count - 1) / count / _free(part))


def _free(part: np.ndarray) -> np.ndarray:
    """(G,) the expected squared distance of a unit from the weighted mean that it is part of."""
    free = 1 - 2 * part + np.sum(np.square(part))
    return np.where(part < 1 - 1e-9, free, 1.0)  # a single unit is all: it deviates by nothing
