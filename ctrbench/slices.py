"""Named subsets of a period's impressions: a field's value, short histories, unseen items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Annotated, Literal

import numpy as np
from pydantic import Field as Setting
from pydantic import model_validator

from ctrbench.errors import unknown_name
from ctrbench.schema import Column, DatasetManifest, Frozen, Impressions, Ragged
from ctrbench.settings import Count

Vocabulary = Callable[[str], list[str]]  # field name -> its values; the value of code c at c - 1
Clicks = Annotated[Count, Setting(le=10**9)]


class Slice(Frozen):
    """Exactly one of: unseen items, short histories, one value of a field.

    >>> Slice(field="genres", value="Drama").key, Slice(history_below=5).title
    ('genres=Drama', 'history shorter than 5 clicks')
    """

    unseen_items: Literal[True] | None = (
        None  # `train` holds the target neither as target nor click
    )
    history_below: Clicks | None = None  # clicks before the impression, before any cut
    field: str | None = None  # categorical: equals `value`; list: contains it
    value: Annotated[str, Setting(coerce_numbers_to_str=True)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Slice:
        kinds = [self.unseen_items, self.history_below, self.field or self.value]
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError(
                "a slice is exactly one of `unseen_items: true`, `history_below: 5` "
                "and `field: genres` with `value: Drama`"
            )
        if (self.field is None) != (self.value is None):
            raise ValueError(
                "`field` and `value` belong together, as in `field: genres`, `value: Drama`"
            )
        return self

    @property
    def key(self) -> str:
        """The name under which its metrics are stored."""
        if self.field is not None:
            return f"{self.field}={self.value}"
        return f"history_below={self.history_below}" if self.history_below else "unseen_items"

    @property
    def title(self) -> str:
        """The name for people."""
        if self.field is not None:
            return f"{self.field} = {self.value}"
        if self.history_below:
            return f"history shorter than {self.history_below} clicks"
        return "items unseen in training"


def problems(
    slices: Sequence[Slice], manifest: DatasetManifest, vocabulary: Vocabulary
) -> list[str]:
    """What is wrong with the slices on this data set, a sentence each; empty if all will do."""
    found = [
        f"slice {key} is given {count} times; once is enough."
        for key, count in Counter(slice_.key for slice_ in slices).items()
        if count > 1
    ]
    fields = {field.name: field for field in manifest.fields}
    sliceable = [name for name, field in fields.items() if field.kind in ("categorical", "list")]
    for slice_ in slices:
        name, value = slice_.field, slice_.value
        if name is None or value is None:
            continue
        if name not in fields:
            found.append(f"slice {slice_.key}: {unknown_name('field', name, sliceable)}")
        elif name not in sliceable:
            found.append(
                f"slice {slice_.key}: field '{name}' is {fields[name].kind}; "
                "only a categorical or list field has values to slice by."
            )
        elif value not in (values := vocabulary(name)):
            found.append(f"slice {slice_.key}: {_unknown_value(name, value, values)}")
    return found


def mask(
    slice_: Slice,
    impressions: Impressions,
    period: str,
    vocabulary: Vocabulary,
    seen_items: np.ndarray,
) -> np.ndarray:
    """Which impressions of the period are in the slice.

    Args:
        slice_: one that `problems` finds nothing wrong with.
        impressions: the data set.
        period: one of `schema.PERIODS`.
        vocabulary: a field's values in the order of their codes, code 1 first.
        seen_items: (V,) bool, items in `train` as target or in the history of its impressions.

    Returns:
        (n,) bool, n impressions in the period.
    """
    rows = impressions.rows(period)
    if slice_.history_below is not None:
        return np.asarray(impressions.history_length[rows]) < slice_.history_below
    if slice_.field is None or slice_.value is None:
        return ~seen_items[impressions.item_id[rows]]
    code = vocabulary(slice_.field).index(slice_.value) + 1
    if slice_.field in impressions.context_fields:
        return _holds(impressions.context_fields[slice_.field], code, rows)
    if slice_.field in impressions.item_fields:
        ids, column = impressions.item_id[rows], impressions.item_fields[slice_.field]
    else:
        ids, column = impressions.user_id[rows], impressions.user_fields[slice_.field]
    return _holds(column, code, slice(0, len(column)))[ids]


def _holds(column: Column, code: int, rows: slice) -> np.ndarray:
    """(n,) bool, whether each of these rows is the code, or its list contains it."""
    if not isinstance(column, Ragged):
        return np.asarray(column[rows]) == code
    offsets = column.offsets[rows.start : rows.stop + 1]
    hits = np.flatnonzero(column.values[offsets[0] : offsets[-1]] == code) + offsets[0]
    holds = np.zeros(len(offsets) - 1, dtype=bool)
    holds[np.searchsorted(offsets, hits, side="right") - 1] = True
    return holds


def _unknown_value(field: str, value: str, values: list[str]) -> str:
    """The message for a value that a field never takes; a field may have too many to list."""
    near = get_close_matches(value, values, n=1, cutoff=0.5)
    suggestion = f" Did you mean '{near[0]}'?" if near else ""
    shown = ", ".join(values[:5]) + (", …" if len(values) > 5 else "")
    return f"field '{field}' has no value '{value}' among its {len(values)} ({shown}).{suggestion}"
