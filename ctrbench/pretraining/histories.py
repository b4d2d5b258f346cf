"""Queries on the flat click history of a log: the latest clicks, and the clicks new to a line.

A range [start, end) of the flat history contains the clicks of one user before one impression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ctrbench.arrays import blocks, rows_within
from ctrbench.impressions.periods import ranges
from ctrbench.schema import Impressions

SEARCH_FACTOR = 4  # searched clicks per range, as a multiple of the history length
SEARCH_BYTES = 1 << 21  # approximate memory of a search


def history_of(log: Impressions, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return start and end of the histories of impressions, (n,) int64 each.

    Args:
        log: The impressions of the data set.
        rows: (n,) int, the impressions.
    """
    start = log.history_start[rows].astype(np.int64)
    return start, start + log.history_length[rows]


def latest(
    log: Impressions,
    has_image: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    excluded: np.ndarray,
    length: int,
) -> np.ndarray:
    """Return the latest items with an image in the ranges [start, end), (n, length) int32.

    Args:
        log: The impressions of the data set.
        has_image: (V,) bool.
        start: (n,) int, the start of each range of the flat history.
        end: (n,) int, the end of each range.
        excluded: (n, P) int, items to exclude from each range.
        length: The number of items per range; the result is right-aligned and padded with 0.
    """
    window = length * SEARCH_FACTOR
    found = np.zeros((len(end), length), np.int32)
    for part in _parts(len(end), length, excluded.shape[1]):
        places = end[part, None] - window + np.arange(window)  # (rows, window)
        inside = places >= start[part, None]
        items = np.zeros(places.shape, np.int32)
        items[inside] = log.history_items[places[inside]]
        is_excluded = (items[:, :, None] == excluded[part, None, :]).any(axis=2)
        usable = inside & has_image[items] & ~is_excluded
        rank = np.cumsum(usable[:, ::-1], axis=1, dtype=np.int32)[:, ::-1]  # 1: the latest usable
        row, place = np.nonzero(usable & (rank <= length))
        found[part.start + row, length - rank[row, place]] = items[row, place]
    return found


def filled_places(
    log: Impressions,
    has_image: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    excluded: Callable[[slice], np.ndarray],
    length: int,
) -> np.ndarray:
    """Return the number of items that `latest` finds in each range, (n,) uint.

    Args:
        log: The impressions of the data set.
        has_image: (V,) bool.
        start: (n,) int, the start of each range of the flat history.
        end: (n,) int, the end of each range.
        excluded: Returns the items to exclude from a slice of the ranges.
        length: The largest number of items per range.
    """
    found = np.zeros(len(end), np.min_scalar_type(length))
    width = excluded(slice(0, 1)).shape[1]
    for part in _parts(len(end), length, width):
        found_items = latest(log, has_image, start[part], end[part], excluded(part), length)
        found[part] = np.count_nonzero(found_items, axis=1)
    return found


def new_clicks(
    log: Impressions, user: np.ndarray, start: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each click with the first line whose history contains it.

    For derived histories, these are all clicks since the previous line of the user. The order of
    given histories over lines is unknown, so for them it is the last click of each distinct list.

    Args:
        log: The impressions of the data set.
        user: (L,) int, the user of each line; lines are sorted by user and time.
        start: (L,) int, the start of the history of each line.
        end: (L,) int, the end of the history of each line.

    Returns:
        Line (ascending), position in the flat history, and end of the clicks strictly before it,
        (S,) int each.
    """
    if log.manifest.history == "given":
        last = np.flatnonzero(end > start)
        _, once = np.unique(end[last], return_index=True)
        line = last[np.sort(once)]
        return line, end[line] - 1, end[line] - 1
    same = np.zeros(len(user), bool)
    same[1:] = user[1:] == user[:-1]
    line, place = positions_of(np.where(same, np.roll(end, 1), start), end)
    line, place = narrow(line, len(user)), narrow(place, len(log.history_items))
    return line, place, _strictly_before(log, place)


def positions_of(begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all positions of ranges in order, with the index of the range.

    Args:
        begin: (n,) int, the start of each range.
        end: (n,) int, the end of each range.
    """
    return np.repeat(np.arange(len(begin)), end - begin), ranges(begin, end - begin)


def narrow(values: np.ndarray, largest: int) -> np.ndarray:
    """Return integers as int32 if the largest possible value fits, else as int64.

    Args:
        values: (n,) int.
        largest: The largest possible value.
    """
    return values.astype(np.int32 if largest <= np.iinfo(np.int32).max else np.int64)


def _parts(count: int, length: int, width: int) -> Iterator[slice]:
    """Yield slices of `count` ranges, each searched in bounded memory."""
    return blocks(count, rows_within(length * SEARCH_FACTOR * (width + 32), SEARCH_BYTES))


def _strictly_before(log: Impressions, place: np.ndarray) -> np.ndarray:
    """Return the end of the clicks strictly before each click, read from its impression."""
    rows = log.rows("pretrain")
    clicked = rows.start + np.flatnonzero(log.click[rows] == 1)
    clicked = narrow(clicked, rows.stop)
    assert log.timestamp is not None
    keys = log.item_id[clicked], log.timestamp[clicked], log.user_id[clicked]
    clicked = clicked[np.lexsort(keys)]  # the order of the flat history
    del keys
    begin, before = (narrow(one, len(log.history_items)) for one in history_of(log, clicked))
    user = log.user_id[clicked]
    first = np.flatnonzero(np.diff(user, prepend=-1))
    begin += np.arange(len(user)) - np.repeat(first, np.diff(first, append=len(user)))
    return before[np.searchsorted(begin, place)]  # the position of each click
