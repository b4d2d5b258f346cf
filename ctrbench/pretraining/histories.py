"""The clicks of a log as one flat history: the latest before some place, and which are new.

A range [start, end) of the flat history is what one user clicked before one impression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ctrbench.arrays import blocks, rows_within
from ctrbench.impressions.periods import ranges
from ctrbench.schema import Impressions

LOOKED_BACK = 4  # times the history's length: how far back images are looked for
AT_ONCE_BYTES = 1 << 21  # of memory, about, for looking back


def history_of(log: Impressions, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) int64, where the histories of some impressions start and end."""
    start = log.history_start[rows].astype(np.int64)
    return start, start + log.history_length[rows]


def latest(
    log: Impressions,
    has_image: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    apart: np.ndarray,
    length: int,
) -> np.ndarray:
    """(n, length) the latest items of the ranges [start, end) that have an image.

    Args:
        log: its flat history is what the ranges cut from.
        has_image: (V,) bool.
        start: (n,).
        end: (n,).
        apart: (n, P) items that are left out.
        length: of the result; filled from behind, 0 before.
    """
    window = length * LOOKED_BACK
    found = np.zeros((len(end), length), np.int32)
    for part in _parts(len(end), length, apart.shape[1]):
        places = end[part, None] - window + np.arange(window)  # (rows, window)
        inside = places >= start[part, None]
        items = np.zeros(places.shape, np.int32)
        items[inside] = log.history_items[places[inside]]
        left_out = (items[:, :, None] == apart[part, None, :]).any(axis=2)
        usable = inside & has_image[items] & ~left_out
        rank = np.cumsum(usable[:, ::-1], axis=1, dtype=np.int32)[:, ::-1]  # 1: the latest usable
        row, place = np.nonzero(usable & (rank <= length))
        found[part.start + row, length - rank[row, place]] = items[row, place]
    return found


def filled_places(
    log: Impressions,
    has_image: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    apart: Callable[[slice], np.ndarray],
    length: int,
) -> np.ndarray:
    """(n,) how many items `latest` finds; `apart` says what is left out of some ranges."""
    found = np.zeros(len(end), np.min_scalar_type(length))
    width = apart(slice(0, 1)).shape[1]
    for part in _parts(len(end), length, width):
        found_items = latest(log, has_image, start[part], end[part], apart(part), length)
        found[part] = np.count_nonzero(found_items, axis=1)
    return found


def new_clicks(
    log: Impressions, user: np.ndarray, start: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clicks by the first line in whose history they stand.

    Of derived histories all clicks that came since the user's line before; of given ones, whose
    order over lines nobody knows, the last of each distinct list.

    Args:
        log: the data set's.
        user: (L,) of each line; a user's lines stand together, in time.
        start: (L,) of each line's history.
        end: (L,).

    Returns:
        Line, place in the flat history, and where the clicks strictly before it end, each (S,);
        lines ascend.
    """
    if log.manifest.history == "given":
        last = np.flatnonzero(end > start)
        _, once = np.unique(end[last], return_index=True)
        line = last[np.sort(once)]
        return line, end[line] - 1, end[line] - 1
    same = np.zeros(len(user), bool)
    same[1:] = user[1:] == user[:-1]
    line, place = places_of(np.where(same, np.roll(end, 1), start), end)
    line, place = small(line, len(user)), small(place, len(log.history_items))
    return line, place, _strictly_before(log, place)


def places_of(begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All places of some ranges, one range after the other: which range, and the place."""
    return np.repeat(np.arange(len(begin)), end - begin), ranges(begin, end - begin)


def small(values: np.ndarray, most: int) -> np.ndarray:
    """The whole numbers, none above `most`, in half the memory where they fit."""
    return values.astype(np.int32 if most <= np.iinfo(np.int32).max else np.int64)


def _parts(count: int, length: int, width: int) -> Iterator[slice]:
    """Of `count` ranges, so many at a time that their memory stays bounded."""
    return blocks(count, rows_within(length * LOOKED_BACK * (width + 32), AT_ONCE_BYTES))


def _strictly_before(log: Impressions, place: np.ndarray) -> np.ndarray:
    """Where the clicks strictly before some clicks end, by their own impressions."""
    rows = log.rows("pretrain")
    clicked = rows.start + np.flatnonzero(log.click[rows] == 1)
    clicked = small(clicked, rows.stop)
    assert log.timestamp is not None
    keys = log.item_id[clicked], log.timestamp[clicked], log.user_id[clicked]
    clicked = clicked[np.lexsort(keys)]  # the order of the flat history
    del keys
    begin, before = (small(one, len(log.history_items)) for one in history_of(log, clicked))
    user = log.user_id[clicked]
    first = np.flatnonzero(np.diff(user, prepend=-1))
    begin += np.arange(len(user)) - np.repeat(first, np.diff(first, append=len(user)))
    return before[np.searchsorted(begin, place)]  # where each click stands itself
