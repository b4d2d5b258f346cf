"""User states: how many impressions and clicks each user had before, and as of a snapshot.

GAUC compares the impressions of one evaluation group with each other. All impressions of a group
therefore share the state that their user had strictly before the group's first impression. With
states that include outcomes of their own group, a click would raise the state of the later
impressions of the group, and a model that reads the state would be biased by construction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ctrbench.schema import PERIODS, Impressions

DAY_S = 24 * 3600
SESSION_GAP_S = 30 * 60  # without an impression of the user; the usual limit of web analytics
MOST_BLOCKS = 64
NEVER = np.iinfo(np.int64).min  # moment of the latest impression of a user who has none
OLDEST = 10**8  # smaller timestamps (before 1973) only give an order
SCALES = ((10**11, 1), (10**14, 10**3), (10**17, 10**6), (10**19, 10**9))  # bound, ticks per second

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]  # user_id, timestamp, click; (n,) each


def ticks_per_second(latest: int) -> int | None:
    """Return the number of timestamp units per second; None if timestamps only give an order.

    Args:
        latest: The largest timestamp.

    >>> ticks_per_second(1_700_000_000), ticks_per_second(1_700_000_000_000), ticks_per_second(59)
    (1, 1000, None)
    """
    if latest < OLDEST:
        return None
    return next((ticks for bound, ticks in SCALES if latest < bound), None)


def user_statistics(log: Impressions, rows: np.ndarray | slice) -> np.ndarray:
    """Return log(1 + history length) and the click rate, as of the snapshot.

    Args:
        log: The opened data set.
        rows: B row numbers.

    Returns:
        (B, 2) float64; the click rate of a user without earlier impressions is NaN.
    """
    length = np.log1p(log.history_length[rows], dtype=np.float64)
    if log.prior_impressions is None or log.prior_clicks is None:
        share = np.full(len(length), np.nan)
    else:
        before = log.prior_impressions[rows]
        share = np.where(before > 0, log.prior_clicks[rows] / np.maximum(before, 1), np.nan)
    return np.stack([length, share], axis=1)


def train_blocks(periods: dict[str, tuple[int, int]]) -> int:
    """Return the number of blocks of `train`, each about as long as `test`; at most MOST_BLOCKS.

    With more blocks, states would be older in `test` than in `train`.

    Args:
        periods: Half-open ranges of rows by period.

    >>> train_blocks({"train": (20, 70), "valid": (70, 80), "test": (80, 100)})
    2
    """
    train, test = (stop - start for start, stop in (periods["train"], periods["test"]))
    return min(max(1, round(train / test)), MOST_BLOCKS)


def counted_before(parts: Iterable[Rows], users: int) -> Iterator[Rows]:
    """Yield the counts of each user's strictly earlier impressions and clicks, part by part.

    Args:
        parts: Parts of the log in order of time; rows of one timestamp are in one part.
        users: The number of users; ids are below it.

    Yields:
        (n,) user ids, (n,) int64 impressions and (n,) int64 clicks for the n rows of each part.
    """
    shown, clicked = np.zeros(users, np.int64), np.zeros(users, np.int64)
    for user, moment, click in parts:
        place = np.arange(len(user))
        key = user.astype(np.int64) << 32 | place  # sorts by user, then in order of time
        key.sort()
        order = key & 0xFFFFFFFF
        owner, clicks = user[order], np.cumsum(click[order], dtype=np.int64) - click[order]
        is_first = np.diff(owner, prepend=-1) != 0  # of its user
        is_later = np.diff(moment[order], prepend=moment[order[0]]) != 0
        of_user = np.maximum.accumulate(np.where(is_first, place, 0))
        of_moment = np.maximum.accumulate(np.where(is_first | is_later, place, 0))
        impressions, before = np.empty_like(key), np.empty_like(key)
        impressions[order] = shown[owner] + of_moment - of_user
        before[order] = clicked[owner] + clicks[of_moment] - clicks[of_user]
        yield user, impressions, before
        shown += np.bincount(user, minlength=users)
        clicked += np.bincount(user[click == 1], minlength=users)


def whole_moments(parts: Iterable[Rows]) -> Iterator[Rows]:
    """Yield the same rows in parts that end where the timestamp changes."""
    rest: Rows | None = None
    for part in parts:
        if rest is not None:
            part = tuple(np.concatenate(both) for both in zip(rest, part, strict=True))
        moment = part[1]
        end = int(np.searchsorted(moment, moment[-1]))
        if end:
            yield part[0][:end], moment[:end], part[2][:end]
        rest = part[0][end:], moment[end:], part[2][end:]
    if rest is not None:
        yield rest


class UnitStates:
    """Reads the log in order of time and keeps the open unit of each user and period."""

    def __init__(self, users: int, gap: int | None) -> None:
        """Start before the first impression.

        Args:
            users: The number of users; ids are below it.
            gap: Ticks without an impression after which a unit ends; None if units are given.
        """
        owners = users * len(PERIODS)
        self._gap = gap
        self._unit = np.zeros(owners, np.int64)
        self._last = np.full(owners, NEVER)  # moment of the latest impression
        self._impressions = np.zeros(owners, np.int32)
        self._clicks = np.zeros(owners, np.int32)
        self._group = np.zeros(owners, np.int32)
        self._groups = 0

    def at_unit_start(
        self,
        user: np.ndarray,
        period: np.ndarray,
        moment: np.ndarray,
        unit: np.ndarray,
        impressions: np.ndarray,
        clicks: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the user state as of the start of each row's unit, for the next part of the log.

        Args:
            user: (n,) int, user ids.
            period: (n,) int, indices in PERIODS.
            moment: (n,) int64, ascending timestamps; no earlier than those of previous parts.
            unit: (n,) int64, numbers of the units, ascending for a user and period; ignored if
                units end by a gap.
            impressions: (n,) int, the user's impressions strictly before each row.
            clicks: (n,) int, the clicked ones among them.

        Returns:
            (n,) int32 impressions and (n,) int32 clicks before the unit, and (n,) int32 numbers of
            the units, from 1.
        """
        owner = user.astype(np.int64) * len(PERIODS) + period
        key = owner << 32 | np.arange(len(owner))  # sorts by owner, then in order of time
        key.sort()
        order = key & 0xFFFFFFFF
        owner, moment, unit = owner[order], moment[order], unit[order]
        first = np.diff(owner, prepend=-1) != 0  # of its owner in this part
        before = np.concatenate([[NEVER], moment[:-1]])
        before[first] = self._last[owner[first]]
        starts = before == NEVER
        if self._gap is None:
            earlier = np.concatenate([[0], unit[:-1]])
            earlier[first] = self._unit[owner[first]]
            starts |= unit != earlier
        else:
            starts |= moment - before > self._gap
        starts |= owner % len(PERIODS) == PERIODS.index("pretrain")
        number = self._groups + np.cumsum(starts, dtype=np.int32)
        self._groups = int(number[-1])
        # the row whose state each row has: the first of its unit, else the carried one
        leads = starts | first
        lead = np.maximum.accumulate(np.where(leads, np.arange(len(owner)), 0))
        carried = leads & ~starts
        kept = []
        for value, state in ((impressions, self._impressions), (clicks, self._clicks)):
            value = value[order]
            value = np.where(carried, state[owner], value)
            kept.append(value[lead])
        group = np.where(carried, self._group[owner], number)[lead]
        last = np.append(np.flatnonzero(first)[1:], len(owner)) - 1  # of its owner in this part
        mine = owner[last]
        self._unit[mine], self._last[mine] = unit[last], moment[last]
        self._impressions[mine], self._clicks[mine] = kept[0][last], kept[1][last]
        self._group[mine] = group[last]
        found = np.empty((3, len(owner)), np.int32)
        found[:, order] = kept[0], kept[1], group
        return found[0], found[1], found[2]
