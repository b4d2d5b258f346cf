"""The result of an importer: relations of raw rows, and their meaning."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ctrbench.display import Displayed
from ctrbench.errors import DataError, raise_all
from ctrbench.importing.relations import Relation
from ctrbench.importing.snapshots import Snapshot, check_snapshot
from ctrbench.schema import Field, GivenVersion, Split

Progress = Callable[[str], None]

PERIOD = Snapshot()
FIELD_NAME = r"[A-Za-z][A-Za-z0-9_]{0,63}"
RESERVED = {
    *("user_id", "item_id", "click", "timestamp", "period", "weight", "history", "raw_id"),
    *("listed", "history_start", "history_length", "prior_impressions", "prior_clicks"),
    *("p_true", "group_id", "history_key"),
}


@dataclass(frozen=True)
class SourceFile:
    """A file of a log as an importer found it."""

    path: str
    form: str  # format, separator, encoding
    rows: int
    types: dict[str, str]  # column -> DuckDB type


@dataclass(frozen=True)
class Reading:
    """How an importer reads a column."""

    column: str
    read_as: str
    guessed: bool  # from the content, and not by an option or a fixed rule


@dataclass(frozen=True)
class Raw:
    """The result of an importer.

    - `impressions`: `user_id` and `item_id`, both VARCHAR or, faster, whole numbers of one integer
      type in all relations; `click`, 0 or 1; where the log has them, `timestamp` BIGINT,
      `period` VARCHAR, `weight` FLOAT, `history` VARCHAR[]; fields of the context; in a simulated
      log `p_true` FLOAT, the probability that the click was drawn from.
    - `items`: `item_id`, one row each, and fields of items. `users`: likewise.
    - `histories`: `history_key`, one row each, and `history`, a list of item ids. The impressions
      then have `history_key` and `history_length` instead of `history`: the history of a row is the
      first `history_length` items of the list (NULL: all). Each list is stored once.

    Fields are VARCHAR (categorical, text), VARCHAR[] (list) or FLOAT (numeric); NULL is missing.
    """

    impressions: Relation
    importer: str
    label: str  # definition of a click, in words
    split: Split
    items: Relation | None = None
    users: Relation | None = None
    histories: Relation | None = None  # lists of which impressions have a prefix
    labels: tuple[str, ...] = ()  # further labels: columns `_label_<name>` of impressions, 0 or 1
    fields: tuple[Field, ...] = ()  # sizes are filled in by the import
    snapshot: Snapshot = PERIOD
    units: tuple[str, ...] = ()  # columns of impressions that only a snapshot uses, never fields
    valid_share: float | None = None  # of a given train period, if there is no valid one
    images: Path | None = None  # a folder of <item id>.jpg, or Parquet of item_id and bytes
    versions: tuple[GivenVersion, ...] = ()  # image vectors that come with the log
    notes: tuple[str, ...] = ()
    counts: dict[str, int] = dataclasses.field(default_factory=dict)  # counts of the importer
    options: str = ""  # of the import, as YAML, stored as import.yaml; empty: none
    files: tuple[SourceFile, ...] = ()  # for the dry run
    readings: tuple[Reading, ...] = ()  # for the dry run
    invalid: Relation | None = None  # rows that were set aside, stored as invalid_rows.parquet

    @property
    def has_timestamp(self) -> bool:
        """Whether impressions have a time."""
        return "timestamp" in self.impressions.columns

    @property
    def has_history(self) -> bool:
        """Whether impressions come with given histories."""
        return self.histories is not None or "history" in self.impressions.columns

    def of(self, owner: str) -> Relation | None:
        """Return the relation whose rows a field describes; None if the log has none.

        Args:
            owner: `user`, `item` or `context`.
        """
        return {"user": self.users, "item": self.items, "context": self.impressions}[owner]


def check_raw(raw: Raw) -> None:
    """Check that raw rows can become a data set.

    Raises:
        UnknownNameError: The snapshot names a column that the log lacks.
        ConfigError: The column of the snapshot is not categorical.
        DataError: A field's name is unsuitable, the log has neither timestamps nor histories, or
            the split requires a column that the log lacks.
    """
    _check_fields(raw.fields)
    _check_labels(raw)
    if not (raw.has_timestamp or raw.has_history):
        raise DataError(
            "the impressions have neither a timestamp nor a history. One of them is required to "
            "determine the earlier clicks of a user."
        )
    if raw.split.kind != "given" and not raw.has_timestamp:
        raise DataError(
            f"the split {raw.split} requires a timestamp; without one, give the periods."
        )
    if raw.split.kind == "given" and "period" not in raw.impressions.columns:
        raise DataError(
            "a given split requires a column 'period', or files as train=FILE, test=FILE."
        )
    check_snapshot(raw.snapshot, raw.fields, raw.units)


def _check_labels(raw: Raw) -> None:
    """Check the names of further labels; a label is never a field, and thus never an input."""
    fields = {field.name.lower() for field in raw.fields}
    problems = []
    for name in raw.labels:
        if not re.fullmatch(FIELD_NAME, name) or name.lower() in RESERVED:
            problems.append(f"label {name!r}: use letters, digits and '_', a letter first.")
        elif name.lower() in fields:
            problems.append(f"label {name!r} is also a field; rename or drop one.")
    raise_all(problems, DataError, "these labels cannot be stored:")


def _check_fields(fields: tuple[Field, ...]) -> None:
    problems, seen = [], set()
    for field in fields:
        if not re.fullmatch(FIELD_NAME, field.name):
            problems.append(
                f"field {field.name!r}: use letters, digits and '_', a letter first; rename it."
            )
        elif field.name.lower() in RESERVED:
            problems.append(f"field {field.name!r}: the name is reserved; rename it.")
        elif field.kind == "text" and field.of != "item":
            problems.append(f"field {field.name!r}: only items have text fields; drop it.")
        elif field.name.lower() in seen:
            problems.append(f"field {field.name!r} occurs in two tables; rename or drop one.")
        seen.add(field.name.lower())
    raise_all(problems, DataError, "these fields cannot be stored:")


PREVIEWED = 5  # rows


@dataclass(frozen=True)
class Preview(Displayed, view="datasets.show_preview"):
    """How an importer reads a log: its files, columns and first rows."""

    files: tuple[SourceFile, ...]
    readings: tuple[Reading, ...]
    fields: tuple[Field, ...]
    label: str
    split: Split
    notes: tuple[str, ...]
    columns: tuple[str, ...]  # of the impressions as read
    rows: tuple[tuple[object, ...], ...]  # the first impressions as read


def preview(raw: Raw) -> Preview:
    """Return a preview of the result of an importer, whose database is still open."""
    first = raw.impressions.connection.execute(f"FROM {raw.impressions} LIMIT {PREVIEWED}")
    return Preview(
        raw.files,
        raw.readings,
        raw.fields,
        raw.label,
        raw.split,
        raw.notes,
        tuple(raw.impressions.columns),
        tuple(first.fetchall()),
    )
