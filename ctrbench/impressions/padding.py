"""Find values that look like padding of given histories and lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from ctrbench.impressions.periods import chunks, count_targets
from ctrbench.schema import ColumnValues, Impressions, Ragged

PADDED = 0.9  # share of lists that begin, or end, with one value
REPEATED = 0.5  # of these: share in which the next value is the same
RARE = 0.001  # share of impressions that show the item
FEW_USERS = 10  # fewer users may all have begun with the same item

Lists = tuple[np.ndarray, np.ndarray, np.ndarray]  # starts, lengths, flat values


@dataclass(frozen=True)
class Padding:
    """A value that looks like padding."""

    field: str | None  # None: the given histories
    code: int  # code of the field, or item id


def find_padding(impressions: Impressions) -> list[Padding]:
    """Return values that begin, or end, nearly all lists, mostly twice in a row.

    In given histories, an item that is hardly ever shown counts even without the repetition.
    """
    found = []
    if impressions.manifest.history == "given":
        found.append(Padding(None, _of_histories(impressions)))
    columns = impressions.item_fields | impressions.user_fields | impressions.context_fields
    for field in impressions.manifest.fields:
        if field.kind == "list":
            parts = partial(_of_column, columns[field.name])
            found.append(Padding(field.name, _filling(parts, field.size + 1, np.empty(0, int))))
    return [padding for padding in found if padding.code]


def _of_histories(impressions: Impressions) -> int:
    rows = slice(0, len(impressions.click))
    shown = count_targets(impressions, rows)
    rare = np.flatnonzero(shown < RARE * len(impressions.click))
    if impressions.user_rows <= FEW_USERS:
        rare = rare[:0]
    return _filling(partial(_of_rows, impressions, rows), impressions.item_rows, rare)


def _of_rows(impressions: Impressions, rows: slice) -> Iterator[Lists]:
    for part in chunks(rows, impressions):
        start, length = impressions.history_start[part], impressions.history_length[part]
        yield start, length, impressions.history_items


def _of_column(column: ColumnValues) -> Iterator[Lists]:
    assert isinstance(column, Ragged)
    for part in chunks(slice(0, len(column))):
        offsets = column.offsets[part.start : part.stop + 1]
        yield offsets[:-1], np.diff(offsets), column.values


def _filling(parts: Callable[[], Iterator[Lists]], size: int, rare: np.ndarray) -> int:
    """Return the value that looks like padding; 0 if there is none."""
    for last in (False, True):
        outer, twice = (np.zeros(size, np.int64) for _ in range(2))
        for starts, lengths, values in parts():
            outer += np.bincount(_outer(starts, lengths, values, 0, last), minlength=size)
            long = lengths > 1
            own, next_ = (
                _outer(starts[long], lengths[long], values, place, last) for place in (0, 1)
            )
            twice += np.bincount(own[own == next_], minlength=size)
        code = int(outer.argmax())
        mostly = outer[code] > PADDED * outer.sum()
        if mostly and (twice[code] > REPEATED * outer[code] or code in rare):
            return code
    return 0


def _outer(
    starts: np.ndarray, lengths: np.ndarray, values: np.ndarray, place: int, last: bool
) -> np.ndarray:
    """Return the value at a position from the start or end of each list that is long enough."""
    chosen = lengths > place
    at = starts[chosen].astype(np.int64)
    return values[at + (lengths[chosen] - 1 - place if last else place)]
