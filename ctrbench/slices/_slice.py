"""One slice: unseen items, short histories, one value of a field, or a rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Annotated, Literal

import numpy as np
from pydantic import Field as Setting
from pydantic import model_validator

from ctrbench import plugins
from ctrbench.errors import unknown_name
from ctrbench.identity import hash_class
from ctrbench.schema import ColumnValues, DatasetManifest, Frozen, Impressions, Ragged
from ctrbench.settings import Count
from ctrbench.slices._base import PACKAGE, rule_class, selected

Vocabulary = Callable[[str], list[str]]  # field name -> its values; code c has index c - 1
Clicks = Annotated[Count, Setting(le=10**9)]


class Slice(Frozen):
    """Exactly one of: unseen items, short histories, one value of a field, a rule.

    >>> Slice(field="genres", value="Drama").key, Slice(history_below=5).title
    ('genres=Drama', 'history shorter than 5 clicks')
    """

    unseen_items: Literal[True] | None = None  # the target item does not occur in `train`
    history_below: Clicks | None = None  # clicks before the impression, without truncation
    field: str | None = None  # categorical: equals `value`; list: contains it
    value: Annotated[str, Setting(coerce_numbers_to_str=True)] | None = None

    rule: str | None = None  # a subclass of `SliceRule`

    @model_validator(mode="after")
    def _one_kind(self) -> Slice:
        kinds = [self.unseen_items, self.history_below, self.field or self.value, self.rule]
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError(
                "a slice must have exactly one of `unseen_items: true`, `history_below: 5`, "
                "`field: genres` with `value: Drama`, and `rule: NAME`"
            )
        if (self.field is None) != (self.value is None):
            raise ValueError(
                "a slice needs both `field` and `value`, as in `field: genres`, `value: Drama`"
            )
        return self

    @property
    def key(self) -> str:
        """The key of the slice's stored metrics; that of a rule changes with its code."""
        if self.rule is not None:
            return f"rule={self.rule}@{hash_class(rule_class(self.rule))}"
        if self.field is not None:
            return f"{self.field}={self.value}"
        return f"history_below={self.history_below}" if self.history_below else "unseen_items"

    @property
    def title(self) -> str:
        """The slice's title in tables."""
        if self.rule is not None:
            return rule_class(self.rule).title
        if self.field is not None:
            return f"{self.field} = {self.value}"
        if self.history_below:
            return f"history shorter than {self.history_below} clicks"
        return "items unseen in training"


def problems(
    slices: Sequence[Slice], manifest: DatasetManifest, vocabulary: Vocabulary
) -> list[str]:
    """Return a message for each slice that is not valid for the data set.

    Args:
        slices: The slices of a benchmark file.
        manifest: The data set.
        vocabulary: Returns a field's values in the order of their codes.
    """
    known = plugins.names(PACKAGE)
    unknown = {one.rule for one in slices if one.rule is not None and one.rule not in known}
    if unknown:
        return [unknown_name("rule of slices", name, known) for name in sorted(unknown)]
    found = [
        f"slice {key} is given {count} times; give it once."
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
                f"slice {slice_.key}: field '{name}' is {fields[name].kind}; choose a categorical "
                "or list field."
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
    """Return which impressions of a period are in the slice.

    Args:
        slice_: A slice that is valid for the data set, see `problems`.
        impressions: The data set.
        period: One of `schema.PERIODS`.
        vocabulary: Returns a field's values in the order of their codes, code 1 first.
        seen_items: (V,) bool, items that occur in `train` as targets or in histories.

    Returns:
        (n,) bool for the n impressions of the period.
    """
    rows = impressions.rows(period)
    if slice_.rule is not None:
        return selected(slice_.rule, impressions, rows)
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


def _holds(column: ColumnValues, code: int, rows: slice) -> np.ndarray:
    """Return as (n,) bool whether each row equals the code, or its list contains the code."""
    if not isinstance(column, Ragged):
        return np.asarray(column[rows]) == code
    offsets = column.offsets[rows.start : rows.stop + 1]
    hits = np.flatnonzero(column.values[offsets[0] : offsets[-1]] == code) + offsets[0]
    holds = np.zeros(len(offsets) - 1, dtype=bool)
    holds[np.searchsorted(offsets, hits, side="right") - 1] = True
    return holds


def _unknown_value(field: str, value: str, values: list[str]) -> str:
    """Return the message for an unknown value of a field, with at most five known ones."""
    near = get_close_matches(value, values, n=1, cutoff=0.5)
    suggestion = f" Did you mean '{near[0]}'?" if near else ""
    shown = ", ".join(values[:5]) + (", …" if len(values) > 5 else "")
    return f"field '{field}' has no value '{value}' among its {len(values)} ({shown}).{suggestion}"
