"""Number raw rows: ids, codes, periods, and the counts of each user's earlier events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ctrbench.errors import DataError
from ctrbench.importing.numbering import (
    OWNERS,
    EncodedField,
    Histories,
    Ids,
    encode_field,
    encode_rows,
    number_histories,
    number_ids,
    row_order,
)
from ctrbench.importing.raw import Progress, Raw, check_raw
from ctrbench.importing.relations import Relation, make_table, make_view
from ctrbench.importing.snapshots import (
    check_groups,
    check_resolution,
    count_earlier,
    snapshot_states,
)
from ctrbench.importing.splits import block_expression, period_expression
from ctrbench.impressions.states import train_blocks
from ctrbench.schema import PERIODS, Field

Periods = dict[str, tuple[int, int]]  # half-open ranges of rows


@dataclass(frozen=True)
class NumberedLog:
    """A numbered log, ready to be written."""

    raw: Raw
    ids: Ids
    encoded_fields: tuple[EncodedField, ...]  # in canonical order
    impressions: Relation  # one row each, with the counts of earlier events and the period
    states: Relation | None  # as of the snapshot, row by row; None: those of `impressions`
    histories: Histories | None  # the given ones; None: histories are derived
    periods: Periods
    order: tuple[str, ...]  # columns of `impressions`: the order of rows in the data set
    in_order: bool  # whether the rows of `impressions` are sorted so

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields with their sizes."""
        return tuple(one.field for one in self.encoded_fields)

    @property
    def history(self) -> Literal["derived", "given"]:
        """The origin of histories."""
        return "derived" if self.histories is None else "given"

    def has(self, column: str) -> bool:
        """Whether impressions have an optional column, such as `weight`."""
        return column in self.raw.impressions.columns


def number_log(raw: Raw, progress: Progress) -> NumberedLog:
    """Number every impression, count its user's earlier events, and assign it to its period.

    Args:
        raw: The result of an importer.
        progress: Receives a short description of each step when it begins.

    Raises:
        UnknownNameError: The snapshot names a column that the log lacks.
        ConfigError: The column of the snapshot is not categorical, or `valid_share` does not fit
            the split.
        DataError: A field's name is unsuitable, the log has neither timestamps nor histories, a
            period is empty, all impressions have one label, or the log does not support the
            snapshot.
    """
    check_raw(raw)
    raw = _with_tables(raw)
    progress("numbering users and items")
    ids = number_ids(raw)
    kept = [field for field in raw.fields if field.name != raw.snapshot.column]
    ordered = sorted(kept, key=lambda field: (OWNERS.index(field.of), field.name))
    fields = tuple(encode_field(raw, field) for field in ordered)
    progress("numbering impressions")
    order = row_order(raw, fields)
    encoded = encode_rows(raw, ids, fields, order)
    progress("counting earlier events")
    counted = count_earlier(encoded) if raw.has_timestamp else encoded
    histories = number_histories(raw, ids, encoded) if raw.has_history else None
    progress("dividing into periods")
    placed, periods = _place(raw, encoded, counted)
    return NumberedLog(
        raw=raw,
        ids=ids,
        encoded_fields=fields,
        impressions=placed,
        states=_states(raw, encoded, placed, periods),
        histories=histories,
        periods=periods,
        order=("_index", *order),
        in_order=raw.has_timestamp and raw.split.kind == "time",
    )


def _with_tables(raw: Raw) -> Raw:
    """Return raw rows whose lists are in tables, in which the order of rows is fixed."""
    owners = {field.of for field in raw.fields if field.kind == "list"}
    if "history" in raw.impressions.columns:
        owners.add("context")
    stored = {}
    for owner in owners:
        rows = raw.of(owner)
        if rows is not None and not rows.is_table:
            stored[owner] = make_table(rows.connection, f"{owner} lists", f"FROM {rows}")
    return replace(
        raw,
        impressions=stored.get("context", raw.impressions),
        items=stored.get("item", raw.items),
        users=stored.get("user", raw.users),
    )


def _place(raw: Raw, encoded: Relation, counted: Relation) -> tuple[Relation, Periods]:
    """Return `counted` with the index of each row's period, and the rows of each period."""
    expression = period_expression(encoded, raw.split, raw.valid_share)
    query = f"SELECT *, {expression} AS _index FROM {counted}"
    placed = make_view(counted.connection, "placed rows", query)
    query = f"SELECT _index, count(*), sum(click) FROM {placed} GROUP BY _index"
    found = placed.connection.execute(query).fetchall()
    rows: dict[str, int] = dict.fromkeys(PERIODS, 0)
    rows |= {PERIODS[index]: count for index, count, _ in found if index is not None}
    clicks = sum(clicked for *_, clicked in found)
    _check_periods(raw, rows, clicks)
    periods, start = {}, 0
    for name, count in rows.items():
        if count:
            periods[name] = (start, start + count)
        start += count
    return placed, periods


def check_log(raw: Raw) -> None:
    """Check what an import checks before it numbers the log.

    Raises:
        UnknownNameError: See `check_raw`.
        ConfigError: See `check_raw`.
        DataError: See `check_raw`, or all impressions have one label.
    """
    check_raw(raw)
    _check_outcomes(*raw.impressions.one_row("count(*), count(*) FILTER (click = 1)"))


def _check_outcomes(impressions: int, clicks: int) -> None:
    if clicks in (0, impressions):
        cure = " (`import table --negatives 4` samples non-clicks)" if clicks else ""
        raise DataError(
            f"all {impressions} impressions are {'clicks' if clicks else 'non-clicks'}: a CTR "
            f"model requires both{cure}."
        )


def _check_periods(raw: Raw, rows: dict[str, int], clicks: int) -> None:
    _check_outcomes(sum(rows.values()), clicks)
    empty = [name for name in PERIODS[1:] if not rows[name]]
    if empty:
        listed = ", ".join(f"{name} {count}" for name, count in rows.items())
        cure = "give files for them" if raw.split.kind == "given" else "choose other shares"
        raise DataError(
            f"the split {raw.split} leaves {', '.join(empty)} without impressions ({listed}); "
            f"{cure}."
        )


def _states(raw: Raw, encoded: Relation, placed: Relation, periods: Periods) -> Relation | None:
    """Return user states as of the snapshot; None if each impression has its own state."""
    if raw.snapshot.kind == "impression":
        if raw.has_timestamp:
            check_resolution(placed)
        return None
    block = "0"
    if raw.snapshot.kind == "period" and raw.has_timestamp:
        within = block_expression(encoded, raw.split, train_blocks(periods))
        block = f"CASE WHEN _index = {PERIODS.index('train')} THEN {within} ELSE 0 END"
    states = snapshot_states(placed, raw.snapshot, block)
    if raw.snapshot.kind != "period":
        check_groups(placed, states, raw.snapshot)
    return states
