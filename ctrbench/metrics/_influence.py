"""Influence values of users and items, from which clustered variances follow in closed form.

To first order a metric equals its true value plus a sum of one influence value per impression. Two
models on the same impressions have correlated errors. The variance of their difference therefore
follows from the difference of their influence values, summed by user and by item.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctrbench.arrays import blocks
from ctrbench.errors import DataError
from ctrbench.metrics._runs import ascending, distinct, sections, starts, within_groups
from ctrbench.scratch import IN_MEMORY, Scratch

PAIR_BUCKETS = 2048


@dataclass(frozen=True)
class Items:
    """Influence values of I items, and a sketch of those of (user, item) pairs.

    The influence value of an impression is the sum over all (click, non-click) pairs that contain
    it. The item variance is the covariance of impressions that show one item to different users:
    the sum of squares over items minus the sum of squares over (user, item) pairs.

    There are up to N (user, item) pairs, so only a sketch of them is stored: `PAIR_BUCKETS` signed
    sums, whose sum of squares is an unbiased estimate. Its relative standard error is at most
    sqrt(2 / PAIR_BUCKETS), 3 %. It is larger in the rare case that two of a few large pairs share a
    bucket. Items and sketch are linear in the influence values, so that the difference of two
    models has the difference of their sums.

    Source: Cameron, Gelbach and Miller 2011, equation 2.11.
    """

    per_item: np.ndarray  # (I,) ascending by item id
    pairs: np.ndarray  # (PAIR_BUCKETS,)
    effective: float  # effective number of items, see `effective_size`
    each: int = 2  # items per unit of the metric: 2 for pairs of impressions, 1 for a mean


@dataclass(frozen=True)
class Influence:
    """A metric with the influence values of its G users, corrected by `leverage`."""

    value: float
    per_user: np.ndarray  # (G,)
    effective_users: float  # effective number of users, see `effective_size`
    items: Items | None = None  # None: without item ids

    @property
    def standard_error(self) -> float:
        """Return the standard error of the metric over users; NaN for a single user."""
        return standard_error(self.per_user)


def standard_error(per_user: np.ndarray) -> float:
    """Return the square root of G / (G - 1) times the sum of squares; NaN for a single user.

    Args:
        per_user: (G,) float, influence values.

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
    """Return the placement value of each row within its group.

    For a click it is the share of non-clicks below it, for a non-click the share of clicks above
    it. Shares are by weight, ties count one half, and a group of one class has 0.

    Args:
        clicks: (N,) bool.
        p: (N,) float32 or float64, predictions.
        weights: (N,) float64 > 0.
        group: (N,) int in [0, 2^31).

    Returns:
        (N,) float64 in [0, 1].
    """
    order = within_groups(ascending(p), group)
    first, tie_start = np.zeros(len(p), bool), np.zeros(len(p), bool)
    first[:1] = True
    of_group, sorted_p = group[order], p[order]
    first[1:] = of_group[1:] != of_group[:-1]
    tie_start[:1] = True
    tie_start[1:] = first[1:] | (sorted_p[1:] != sorted_p[:-1])
    ties = np.flatnonzero(tie_start)
    group_start = np.flatnonzero(first[ties])  # first tie of each group
    run = np.cumsum(first[ties]) - 1  # group of each tie

    def share_below(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the share of a class below each tie, and whether its group has the class."""
        sums = np.add.reduceat((weights * chosen)[order], ties)
        below = np.cumsum(sums) - sums
        below -= below[group_start][run]
        total = np.add.reduceat(sums, group_start)[run]
        with np.errstate(invalid="ignore", divide="ignore"):
            return (below + sums / 2) / total, total > 0

    place, clicked, tie = np.empty(len(p)), clicks[order], np.cumsum(tie_start) - 1
    share, there = share_below(~clicks)
    place[order[clicked]] = np.where(there, share, 0.0)[tie[clicked]]
    share, there = share_below(clicks)
    place[order[~clicked]] = np.where(there, 1 - share, 0.0)[tie[~clicked]]
    return place


def places_in_all(
    clicks: np.ndarray,
    p: np.ndarray,
    weights: np.ndarray,
    totals: tuple[float, float],
    scratch: Scratch = IN_MEMORY,
) -> np.ndarray:
    """Return the (N,) float64 placement value of each row among all rows, see `places`.

    Args:
        clicks: (N,) bool, not all equal.
        p: (N,) float32 or float64, predictions.
        weights: (N,) float64 > 0.
        totals: The weights of the non-clicks and of the clicks.
        scratch: Provides the arrays.
    """
    order, place = ascending(p, scratch), scratch.empty(len(p), np.float64)
    before = [0.0, 0.0]  # weight of the non-clicks and of the clicks in earlier sections
    for part in sections(order, lambda row: p[row]):
        rows = order[part]
        of_rows, clicked, weight = p[rows], clicks[rows], weights[rows]
        ties = starts(of_rows)
        lengths = np.diff(ties, append=len(rows))
        for is_click in (False, True):
            sums = np.add.reduceat(weight * (clicked == is_click), ties)
            below = np.cumsum(np.concatenate([before[is_click : is_click + 1], sums]))
            before[is_click] = float(below[-1])
            share = (below[1:] - sums + sums / 2) / totals[is_click]
            others = clicked != is_click
            place[rows[others]] = np.repeat(1 - share if is_click else share, lengths)[others]
    return place


def owners(group: np.ndarray, user: np.ndarray, groups: int) -> np.ndarray:
    """Return the (groups,) user of each group.

    Args:
        group: (N,) int in [0, groups).
        user: (N,) int.
        groups: Number of groups.

    Raises:
        DataError: A group has impressions of two users.
    """
    owner = np.zeros(groups, np.int64)
    for part in blocks(len(group)):
        owner[group[part]] = user[part]
    split = np.concatenate(
        [
            part.start + np.flatnonzero(owner[group[part]] != user[part])
            for part in (slice(0, 0), *blocks(len(group)))
        ]
    )
    if len(split):
        raise DataError(
            f"{len(np.unique(group[split]))} of {groups} groups have impressions of several users "
            f"(for example row {split[0]}). Each value of group_id must belong to one user."
        )
    return owner


@dataclass(frozen=True)
class Sketch:
    """The item and the bucket in which each of N impressions is summed."""

    item: np.ndarray  # (N,) from 0, ascending with the id
    count: int  # I
    bucket: np.ndarray  # (N,)
    sign: np.ndarray  # (N,) 1 or -1

    @classmethod
    def of(cls, user_id: np.ndarray, item_id: np.ndarray, scratch: Scratch = IN_MEMORY) -> Sketch:
        """Return the item and the bucket of each impression.

        Args:
            user_id: (N,) int or str, the user of each impression.
            item_id: (N,) int or str, the item shown.
            scratch: Provides the arrays.
        """
        ids, item = distinct(item_id, scratch)
        bucket, sign = (scratch.empty(len(item), dtype) for dtype in (np.int16, np.int8))
        users, items = _numbers(user_id), _numbers(item_id)
        for part in blocks(len(item)):
            bucket[part], sign[part] = pair_buckets(users[part], items[part])
        return cls(item, len(ids), bucket, sign)

    def items(self, moved: np.ndarray, share: np.ndarray, each: int = 2) -> Items:
        """Return the sums by item and by bucket.

        Args:
            moved: (N,) float64, influence values of impressions.
            share: (N,) float64, shares of impressions in the weights of the metric.
            each: See `Items.each`.
        """
        sums = ItemSums(self, each)
        for part in blocks(len(self.item)):
            sums.add(part, moved[part], share[part])
        return sums.items()


class ItemSums:
    """Sums by item and by bucket of impressions that come in blocks.

    They do not depend on the blocks, because each sum adds its impressions one after the other.
    """

    def __init__(self, sketch: Sketch, each: int = 2) -> None:
        """Start with zeros.

        Args:
            sketch: The items and buckets of the impressions.
            each: See `Items.each`.
        """
        self._sketch, self._each = sketch, each
        self._moved, self._share = np.zeros(sketch.count), np.zeros(sketch.count)
        self._pairs = np.zeros(PAIR_BUCKETS)

    def add(self, rows: slice, moved: np.ndarray, share: np.ndarray) -> None:
        """Add impressions.

        Args:
            rows: The n impressions.
            moved: (n,) float64, their influence values.
            share: (n,) float64, their shares in the weights of the metric.
        """
        sketch = self._sketch
        item, bucket = (of[rows].astype(np.int64) for of in (sketch.item, sketch.bucket))
        np.add.at(self._moved, item, moved)
        np.add.at(self._share, item, share)
        np.add.at(self._pairs, bucket, sketch.sign[rows] * moved)

    def items(self) -> Items:
        """Return the sums."""
        return Items(self._moved, self._pairs, effective_size(self._share), self._each)


def pair_buckets(user_id: np.ndarray, item_id: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bucket and the sign of each (user, item) pair.

    The hash is fixed, so that sketches of two models can be subtracted.

    Args:
        user_id: (N,) int, or str, which is replaced by its rank.
        item_id: (N,) int or str.

    Returns:
        (N,) int16 in [0, PAIR_BUCKETS), and (N,) int8, 1 or -1.

    Source: Charikar, Chen and Farach-Colton 2002, section 3.
    """
    user, item = (
        _numbers(np.asarray(ids)).astype(np.int64).view(np.uint64) for ids in (user_id, item_id)
    )
    mixed = _mixed(_mixed(user) + item)
    bucket = (mixed % np.uint64(PAIR_BUCKETS)).astype(np.int16)
    return bucket, np.where(mixed >> np.uint64(63), np.int8(1), np.int8(-1))


def _numbers(ids: np.ndarray) -> np.ndarray:
    """Return (N,) integer ids, or the ranks of ids that are text."""
    return ids if ids.dtype.kind in "biu" else np.unique(ids, return_inverse=True)[1]


def _mixed(values: np.ndarray) -> np.ndarray:
    """Return (N,) uint64 hashes: the finaliser of splitmix64, a bijection."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def effective_size(part: np.ndarray) -> float:
    """Return Kish's effective sample size, one over the sum of squared shares.

    A mean over this many users of equal weight has the same variance. A variance over users of
    unequal weight has at most this many degrees of freedom, minus one.

    Args:
        part: (G,) float, share of each user in the weights of the mean.

    Source: Kish 1965, Survey Sampling, section 11.7.

    >>> effective_size(np.array([0.25, 0.25, 0.25, 0.25])), effective_size(np.array([1.0, 0.0]))
    (4.0, 1.0)
    """
    return 1 / float(np.sum(np.square(part)))


def leverage(part: np.ndarray, users: int | None = None) -> np.ndarray:
    """Return the (G,) correction factors of influence values for the leverage of users.

    A user with a large weight pulls the mean towards itself. Its expected squared distance from the
    mean is 1 - 2 part + sum(part^2) times the variance of one user, if all users have the same
    variance. The factor corrects the square root of that. It also divides out G / (G - 1), which
    `standard_error` applies to all users.

    Args:
        part: (G,) float, share of each user in the weights of the mean.
        users: G in the divisor; by default the number of users with a weight above 0.

    Source: Bell and McCaffrey 2002, Survey Methodology 28 (CR2), with one number per user.
    """
    count = np.count_nonzero(part) if users is None else users
    return np.sqrt((count - 1) / count / _free(part))


def _free(part: np.ndarray) -> np.ndarray:
    """Return the (G,) expected squared distance of a unit from the mean that includes it."""
    free = 1 - 2 * part + np.sum(np.square(part))
    return np.where(part < 1 - 1e-9, free, 1.0)  # a single unit equals the mean
