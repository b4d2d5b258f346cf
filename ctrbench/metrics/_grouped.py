"""The AUC of every user by one sort; every weighting of GAUC uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.errors import DataError
from ctrbench.metrics._checks import checked, checked_users
from ctrbench.metrics._runs import order_of, starts, sums, sums_before

Weighting = Literal["impressions", "clicks", "users"]
Names = Callable[[np.ndarray], np.ndarray]  # (G,) codes -> (G,) user ids


@dataclass(frozen=True)
class GroupedAuc:
    """The AUC and the weights of G users, in ascending order of id.

    Without sample weights `weight` equals `impressions` and
    `click_weight` equals `clicks`.
    """

    user_id: np.ndarray  # (G,)
    auc: np.ndarray  # (G,) NaN for a user with one class only
    impressions: np.ndarray  # (G,) rows
    clicks: np.ndarray  # (G,) clicked rows
    weight: np.ndarray  # (G,) sum of the sample weights
    click_weight: np.ndarray  # (G,) sum of the sample weights of clicked rows

    @classmethod
    def joined(cls, parts: Sequence[GroupedAuc], user_id: np.ndarray) -> GroupedAuc:
        """Return the users of several parts as one.

        Args:
            parts: At least one; each user is in one of them, and their users ascend.
            user_id: (G,) the ids of all users.
        """
        columns = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)
        }
        return cls(**columns | {"user_id": user_id})

    @property
    def evaluable(self) -> np.ndarray:
        """Return (G,) bool, whether the user has both a click and a non-click."""
        return ~np.isnan(self.auc)

    @property
    def evaluable_users(self) -> int:
        """Return the number of evaluable users."""
        return int(self.evaluable.sum())

    @property
    def evaluable_impressions(self) -> int:
        """Return the number of impressions of evaluable users."""
        return int(self.impressions[self.evaluable].sum())

    def gauc(self, weighting: Weighting = "impressions") -> float:
        """Return the weighted mean of per-user AUC over evaluable users.

        Raises:
            DataError: No user has both a click and a non-click, or the weighting is unknown.
        """
        weights, used = self.weights(weighting), self.evaluable
        if not used.any():
            raise DataError(
                f"GAUC is not defined: none of {len(used)} users has both a click and a non-click."
            )
        return float(np.average(self.auc[used], weights=weights[used]))

    def weights(self, weighting: Weighting) -> np.ndarray:
        """Return the (G,) weight of each user.

        Raises:
            DataError: The weighting is unknown.
        """
        known = {
            "impressions": self.weight,
            "clicks": self.click_weight,
            "users": np.ones(len(self.auc)),
        }
        if weighting not in known:
            raise DataError(f"no GAUC weighting {weighting!r}; known: {', '.join(known)}.")
        return known[weighting]


def grouped_auc(
    click: ArrayLike, p_click: ArrayLike, user_id: ArrayLike, weight: ArrayLike | None = None
) -> GroupedAuc:
    """Return the AUC of every user.

    Args:
        click: (N,) int or bool, 1 for a click.
        p_click: (N,) float, predicted click probability. Only the order matters.
        user_id: (N,) int or str, the user of each impression.
        weight: (N,) float > 0, sample weights.

    Raises:
        DataError: An array is not valid.

    >>> grouped_auc([1, 0, 1, 0, 0, 0], [.9, .1, .2, .8, .1, .5], [1, 1, 2, 2, 2, 3]).auc
    array([1. , 0.5, nan])
    """
    clicks, p, weights = checked(click, p_click, weight)
    return grouped_of(clicks, p, checked_users(user_id, len(p)), weights)


def tied_pairs(click: ArrayLike, p_click: ArrayLike, group_id: ArrayLike | None = None) -> float:
    """Return the share of (click, non-click) pairs with equal predictions.

    AUC and GAUC count such a pair one half.

    Args:
        click: (N,) int or bool, 1 for a click.
        p_click: (N,) float, predictions.
        group_id: (N,) int; only pairs within one group count. By default all pairs count.

    Raises:
        DataError: An array is not valid.

    >>> tied_pairs([1, 0, 0, 1], [0.5, 0.5, 0.1, 0.2])
    0.25
    """
    clicks, p, _ = checked(click, p_click, None)
    groups = np.zeros(len(p), np.int64) if group_id is None else np.asarray(group_id)
    order = np.lexsort((p, groups))
    groups, p, clicks = groups[order], p[order], clicks[order]
    new_group = np.diff(groups, prepend=groups[:1] - 1) != 0
    ties = np.flatnonzero(new_group | (np.diff(p, prepend=p[:1] - 1) != 0))
    pairs = [
        float(np.sum(sums(clicks.astype(np.float64), at) * sums((~clicks).astype(np.float64), at)))
        for at in (ties, np.flatnonzero(new_group))
    ]
    return pairs[0] / pairs[1] if pairs[1] else 0.0


def grouped_of(
    clicks: np.ndarray, p: np.ndarray, user_id: np.ndarray, weights: np.ndarray | None
) -> GroupedAuc:
    """Return the AUC of every user from checked arrays.

    It is the weight of the pairs in which the click ranks above the non-click, divided by the
    weight of all pairs.

    Args:
        clicks: (N,) bool.
        p: (N,) float32 or float64.
        user_id: (N,) int or str.
        weights: (N,) float64 > 0, or None.
    """
    key, name = _keys(clicks, p, user_id)
    if weights is not None:
        order = np.argsort(key)
        return _Sorted.of(key[order], name).grouped(weights[order])
    key.sort()  # sorting keys alone is several times faster than an argsort
    return _Sorted.of(key, name).grouped(None)


def _keys(clicks: np.ndarray, p: np.ndarray, user_id: np.ndarray) -> tuple[np.ndarray, Names]:
    """Return (N,) uint64 keys of user, prediction and click in 31, 32 and 1 bits, and user ids."""
    code, name = _user_codes(user_id)
    return code << np.uint64(33) | order_of(p) << np.uint64(1) | clicks, name


@dataclass(frozen=True)
class _Sorted:
    """N impressions sorted by user and prediction, with the starts of users and ties."""

    clicked: np.ndarray  # (N,) int64
    first: np.ndarray  # (G,) first row of each user
    tie: np.ndarray  # first row of each run of equal predictions of one user
    first_tie: np.ndarray  # (G,) index in `tie` of each user's first run
    user_id: np.ndarray  # (G,)

    @classmethod
    def of(cls, key: np.ndarray, name: Names) -> _Sorted:
        first, tie = starts(key >> np.uint64(33)), starts(key >> np.uint64(1))
        user_id = name((key[first] >> np.uint64(33)).astype(np.int64))
        clicked = (key & np.uint64(1)).astype(np.int64)
        return cls(clicked, first, tie, np.searchsorted(tie, first), user_id)

    def grouped(self, weights: np.ndarray | None) -> GroupedAuc:
        """Return the AUC of every user; (N,) weights are in the order of the sorted rows."""
        clicked, first, tie, first_tie = self.clicked, self.first, self.tie, self.first_tie
        rows = len(clicked)
        yes = sums(clicked if weights is None else weights * clicked, tie)
        no = (np.diff(tie, append=rows) if weights is None else sums(weights, tie)) - yes
        area = sums(yes * (sums_before(no, first_tie) + no / 2), first_tie)
        click_weight = sums(yes, first_tie)
        impressions = np.diff(first, append=rows)
        with np.errstate(invalid="ignore"):  # 0 / 0: one class only
            user_auc = area / (click_weight * sums(no, first_tie))
        return GroupedAuc(
            user_id=self.user_id,
            auc=user_auc,
            impressions=impressions,
            clicks=click_weight if weights is None else sums(clicked, first),
            weight=impressions.astype(np.float64) if weights is None else sums(weights, first),
            click_weight=click_weight.astype(np.float64),
        )


def _user_codes(user_id: np.ndarray) -> tuple[np.ndarray, Names]:
    """Return (N,) uint64 codes below 2^31 in the order of ids, and a function from code to id."""
    if user_id.dtype.kind in "iu" and len(user_id):
        low, high = user_id.min(), user_id.max()
        if int(high) - int(low) < 1 << 31:
            wide = np.uint64 if user_id.dtype.kind == "u" else np.int64
            code = np.subtract(user_id, low, dtype=wide).astype(np.uint64)
            return code, lambda codes: (codes.astype(wide) + low).astype(user_id.dtype)
    distinct, code = np.unique(user_id, return_inverse=True)
    return code.astype(np.uint64), lambda codes: distinct[codes]
