"""Field values that occur in `valid` or `test` but not in `train`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ctrbench.impressions.periods import chunks, count_targets, count_users
from ctrbench.schema import ColumnValues, Field, Impressions, Ragged

LATER = ("valid", "test")
Part = tuple[ColumnValues, np.ndarray]  # rows of a column, and the number of impressions of each


@dataclass(frozen=True)
class UnseenValues:
    """The values of a field that a model trained on `train` has not seen."""

    values: int  # number of distinct values in `valid` or `test` that `train` lacks
    shares: dict[str, float]  # by period: share of impressions with such a value


def unseen_values(impressions: Impressions) -> dict[str, UnseenValues]:
    """Return unseen values by field, over targets, users and contexts; missing is not a value."""
    coded = [f for f in impressions.manifest.fields if f.kind in ("categorical", "list")]
    return {field.name: _unseen(impressions, field) for field in coded}


def with_unknown(impressions: Impressions) -> tuple[str, ...]:
    """Return the categorical fields that have both missing and unseen values.

    `train` has missing values of such a field, and other periods have values that `train` lacks. A
    model gives these fields separate codes for missing and for unseen values. Other fields have
    one code for both.
    """
    found = []
    for field in impressions.manifest.fields:
        if field.kind != "categorical":
            continue
        known = np.zeros(field.size + 1, bool)
        for column, shown in _parts(impressions, field, "train"):
            known[_codes(column, shown > 0)] = True
        found += [field.name] * bool(known[0] and not known.all())
    return tuple(found)


def _unseen(impressions: Impressions, field: Field) -> UnseenValues:
    known, later = (np.zeros(field.size + 1, bool) for _ in range(2))
    known[0] = True
    for column, shown in _parts(impressions, field, "train"):
        known[_codes(column, shown > 0)] = True
    shares = {}
    for period in LATER:
        new = total = 0
        for column, shown in _parts(impressions, field, period):
            later[_codes(column, shown > 0)] = True
            new += int(shown[_holds(column, ~known)].sum())
            total += int(shown.sum())
        shares[period] = new / total
    return UnseenValues(int(np.count_nonzero(later & ~known)), shares)


def _parts(impressions: Impressions, field: Field, period: str) -> Iterator[Part]:
    """Yield the field's column, whole or in chunks, with the impressions of a period."""
    rows = impressions.rows(period)
    if field.of == "item":
        yield impressions.item_fields[field.name], count_targets(impressions, rows)
    elif field.of == "user":
        yield impressions.user_fields[field.name], count_users(impressions, rows)[0]
    else:
        column = impressions.context_fields[field.name]
        for part in chunks(rows, impressions):
            yield _rows_of(column, part), np.ones(part.stop - part.start, np.int64)


def _rows_of(column: ColumnValues, part: slice) -> ColumnValues:
    if isinstance(column, Ragged):
        return Ragged(column.offsets[part.start : part.stop + 1], column.values)
    return column[part]


def _codes(column: ColumnValues, chosen: np.ndarray) -> np.ndarray:
    """Return the codes of some rows."""
    if not isinstance(column, Ragged):
        return column[chosen]
    first, last = column.offsets[0], column.offsets[-1]
    return column.values[first:last][np.repeat(chosen, np.diff(column.offsets))]


def _holds(column: ColumnValues, selected: np.ndarray) -> np.ndarray:
    """Return whether each row contains a selected code, (n,) bool."""
    if not isinstance(column, Ragged):
        return selected[column]
    first, last = column.offsets[0], column.offsets[-1]
    # number of selected codes before each
    before = np.append(0, np.cumsum(selected[column.values[first:last]]))
    return before[column.offsets[1:] - first] > before[column.offsets[:-1] - first]
