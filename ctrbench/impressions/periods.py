"""Users, items and histories of a range of rows, counted in chunks to bound memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ctrbench.arrays import release
from ctrbench.schema import Impressions

CHUNK = 1 << 22  # rows held in memory at a time; a multiple of slots.COARSE
# a fault in one of these periods invalidates a table, whatever the size of the others
JUDGED = ("train", "valid", "test")
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, irregular bits: 2^64 divided by the golden ratio
HISTORY_BLOCK = 1 << 21  # history items held in memory at a time, besides those of one row


def chunks(rows: slice, log: Impressions | None = None) -> Iterator[slice]:
    """Yield consecutive slices of at most CHUNK rows.

    Args:
        rows: A range of row numbers.
        log: The log that the caller reads. Its memory maps are released after each slice, because
            the process would hold every page that it has read.

    >>> list(chunks(slice(0, 3)))
    [slice(0, 3, None)]
    """
    for start in range(rows.start, rows.stop, CHUNK):
        yield slice(start, min(start + CHUNK, rows.stop))
        for column in () if log is None else log.columns():
            release(column)


def count_users(impressions: Impressions, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return the impressions and the clicks of each user among some rows.

    Args:
        impressions: The log.
        rows: A range of row numbers.

    Returns:
        Two (users + 1,) int64; entry 0 is the unknown user.
    """
    shown = np.zeros(impressions.user_rows, np.int64)
    clicked = np.zeros(impressions.user_rows, np.int64)
    for part in chunks(rows, impressions):
        users = impressions.user_id[part]
        shown += np.bincount(users, minlength=len(shown))
        clicked += np.bincount(users[impressions.click[part] == 1], minlength=len(shown))
    return shown, clicked


def evaluable_groups(impressions: Impressions, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return the evaluation groups among some rows, and whether each has an AUC.

    Args:
        impressions: The log.
        rows: A range of row numbers.

    Returns:
        (G,) int64 users of the groups, and (G,) bool, whether the group has a click and a
        non-click.
    """
    if impressions.group is None:
        shown, clicked = count_users(impressions, rows)
        users = np.flatnonzero(shown)
        return users, (clicked[users] > 0) & (clicked[users] < shown[users])
    groups = 1 + max(int(impressions.group[part].max()) for part in chunks(rows, impressions))
    shown, clicked, owner = (np.zeros(groups, np.int64) for _ in range(3))
    for part in chunks(rows, impressions):
        group = impressions.group[part]
        shown += np.bincount(group, minlength=groups)
        clicked += np.bincount(group[impressions.click[part] == 1], minlength=groups)
        owner[group] = impressions.user_id[part]
    there = np.flatnonzero(shown)
    return owner[there], (clicked[there] > 0) & (clicked[there] < shown[there])


def count_targets(impressions: Impressions, rows: slice) -> np.ndarray:
    """Return (V,) int64, how often each item is the target among some rows.

    Args:
        impressions: The log.
        rows: A range of row numbers.
    """
    shown = np.zeros(impressions.item_rows, np.int64)
    for part in chunks(rows, impressions):
        shown += np.bincount(impressions.item_id[part], minlength=len(shown))
    return shown


def items_in_period(impressions: Impressions, period: str) -> np.ndarray:
    """Return (V,) bool, the targets of a period and the items of its given histories.

    Items of derived histories are targets of their own period and are not added.

    Args:
        impressions: The log.
        period: One of PERIODS.
    """
    rows = impressions.rows(period)
    known = count_targets(impressions, rows) > 0
    if impressions.manifest.history == "given":
        for items in histories(impressions, rows):
            known[items] = True
    known[0] = False
    return known


def histories(
    impressions: Impressions, rows: slice, longest: int | None = None
) -> Iterator[np.ndarray]:
    """Yield blocks of the items in the histories of some rows.

    Args:
        impressions: The log.
        rows: A range of row numbers.
        longest: The number of latest clicks of each history; None: all.

    Yields:
        (n,) int32 items.
    """
    for part in chunks(rows, impressions):
        full = impressions.history_length[part]
        length = full if longest is None else np.minimum(full, longest)
        first = impressions.history_start[part] + full - length
        end = np.cumsum(length, dtype=np.int64)
        cuts = np.searchsorted(end, np.arange(HISTORY_BLOCK, end[-1], HISTORY_BLOCK))
        for start, stop in pairwise([0, *np.unique(cuts + 1), len(end)]):
            yield impressions.history_items[ranges(first[start:stop], length[start:stop])]


def history_end(impressions: Impressions, rows: slice | np.ndarray) -> np.ndarray:
    """Return where each row's history ends in `history_items`; 0 for an empty one.

    Rows have equal ends if and only if they have the same history, even if histories are prefixes
    of one list.

    Args:
        impressions: The log.
        rows: Which impressions.

    Returns:
        (n,) int64.
    """
    length = impressions.history_length[rows].astype(np.int64)
    return np.where(length > 0, impressions.history_start[rows] + length, 0)


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return range(start, start + length) of all pairs, end to end.

    Args:
        starts: (n,) int.
        lengths: (n,) int, at least 0.

    Returns:
        (total,) int64.

    >>> ranges(np.array([5, 0]), np.array([2, 3]))
    array([5, 6, 0, 1, 2])
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - ends + lengths, lengths) + np.arange(total)


def perhaps_among(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the indices of the keys that may be among the wanted ones.

    All keys that are among them are included, and few others, so that an exact search reads less.

    Args:
        keys: (n,) int64, at least 0.
        wanted: (m,) int64, at least 0.

    Returns:
        (k,) int64, ascending.

    >>> perhaps_among(np.array([7, 8, 9]), np.array([9, 7]))
    array([0, 2])
    """
    bits = (8 * len(wanted)).bit_length()  # at most one eighth of the marks are set
    shift = np.uint64(64 - max(bits, 1))
    marks = np.zeros(1 << max(bits, 1), bool)
    marks[(wanted.astype(np.uint64) * FACTOR) >> shift] = True
    hashed = keys.astype(np.uint64)
    hashed *= FACTOR
    hashed >>= shift
    return np.flatnonzero(marks[hashed])
