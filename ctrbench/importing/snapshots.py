"""Snapshots: the user state and the evaluation group of each impression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from ctrbench.errors import ConfigError, DataError, UnknownNameError, unknown_name
from ctrbench.importing.relations import Relation, fill_table, make_view, one_row
from ctrbench.impressions.states import (
    DAY_S,
    SESSION_GAP_S,
    UnitStates,
    counted_before,
    ticks_per_second,
    whole_moments,
)
from ctrbench.printable import counted
from ctrbench.schema import PERIODS, Field, SnapshotKind

EARLIER: dict[str, str] = {
    **dict.fromkeys(("prior_impressions", "prior_clicks"), "INTEGER"),
    **dict.fromkeys(("_user_impressions", "_user_start"), "BIGINT"),
}
STATES: dict[str, str] = dict.fromkeys(("prior_impressions", "prior_clicks", "group_id"), "INTEGER")
KINDS_BY_COLUMN = ("session", "day")  # a column of the log may name their units

States = tuple[np.ndarray, np.ndarray, np.ndarray]  # prior impressions and clicks, group; (n,) each


@dataclass(frozen=True)
class Snapshot:
    """The moments at which the user state in the input of a model is updated.

    Within `train`, `valid` and `test` all impressions of a unit share one state. For `session` and
    `day` the evaluation groups are user x unit; for `period` (and `impression`) they are the users.
    `period` divides `train` into blocks about as long as `test`, so that states are equally old in
    both.
    """

    kind: SnapshotKind = "period"
    column: str | None = None  # column that names a session or a day; None: from timestamps

    def __str__(self) -> str:
        return f"{self.kind} by column {self.column}" if self.column else self.kind


def parse_snapshot(kind: str, column: str | None = None) -> Snapshot:
    """Return the snapshot of this name.

    Args:
        kind: `impression`, `session`, `day` or `period`.
        column: A column of the log that names sessions or days.

    Raises:
        ConfigError: The kind does not exist, or takes no column.

    >>> str(parse_snapshot("session", "visit_id"))
    'session by column visit_id'
    """
    kinds: dict[str, SnapshotKind] = {name: name for name in get_args(SnapshotKind)}
    if kind not in kinds:
        raise ConfigError(unknown_name("snapshot", kind, kinds))
    if column is not None and kind not in KINDS_BY_COLUMN:
        raise ConfigError(
            f"--snapshot-column {column} names sessions or days, but the snapshot is '{kind}'. Add "
            "--snapshot session or --snapshot day."
        )
    return Snapshot(kinds[kind], column)


def check_snapshot(
    snapshot: Snapshot, fields: tuple[Field, ...], units: tuple[str, ...] = ()
) -> None:
    """Check a snapshot against the columns of a log.

    Args:
        snapshot: The requested snapshot.
        fields: All fields of the log.
        units: Further columns of the impressions, which are categorical.

    Raises:
        UnknownNameError: The log has no such column.
        ConfigError: The column is not categorical.
    """
    if snapshot.column is None:
        return
    kinds = {field.name: field.kind for field in fields if field.of == "context"}
    kinds |= dict.fromkeys(units, "categorical")
    if snapshot.column not in kinds:
        raise UnknownNameError("column of the impressions", snapshot.column, list(kinds))
    if kinds[snapshot.column] != "categorical":  # numbers are stored in single precision
        raise ConfigError(
            f"--snapshot-column {snapshot.column} is read as {kinds[snapshot.column]}, and names "
            f"of a {snapshot.kind} must be categories: add --categorical {snapshot.column}."
        )


def count_earlier(encoded: Relation) -> Relation:
    """Return `encoded` with the counts of the user's events strictly before each row.

    Events at the same time do not count. The new columns are prior_impressions and prior_clicks;
    `_user_impressions`, the number of the user's impressions; and `_user_start`, the index of the
    user's first click among all clicks sorted by user.

    Args:
        encoded: Impressions as numbers, in order of time.
    """
    (last,) = encoded.one_row("max(user_id)")
    users = 1 + last
    shown, clicked = np.zeros(users, np.int64), np.zeros(users, np.int64)
    for user, click in encoded.parts("user_id, click"):
        shown += np.bincount(user, minlength=users)
        clicked += np.bincount(user[click == 1], minlength=users)
    start = np.cumsum(clicked) - clicked
    parts = whole_moments(encoded.parts("user_id, timestamp, click"))  # type: ignore[arg-type]
    earlier = fill_table(
        encoded.connection,
        "earlier",
        EARLIER,
        (
            (impressions, clicks, shown[user], start[user])
            for user, impressions, clicks in counted_before(parts, users)
        ),
    )
    query = f"FROM {encoded} POSITIONAL JOIN {earlier}"
    return make_view(encoded.connection, "counted rows", query)


def snapshot_states(placed: Relation, snapshot: Snapshot, block: str) -> Relation:
    """Return the user states as of a snapshot; the n-th row belongs to the n-th of `placed`.

    The columns are prior_impressions and prior_clicks as of the start of the impression's unit
    (NULL without timestamps), and group_id, the number of its evaluation group, from 1. Rows of
    `pretrain` have the state of their own moment: no CTR model is trained or evaluated on them, and
    pre-training uses their histories.

    Args:
        placed: Impressions in order of time, with the index of their period.
        snapshot: A checked snapshot other than `impression`.
        block: SQL for the number of a row's block of `train`.

    Raises:
        DataError: The log's timestamps or the column do not allow the snapshot.
    """
    import pyarrow as pa

    has_timestamp = "timestamp" in placed.columns
    if snapshot.column is not None:
        _check_column(placed, snapshot)
        states = _by_column(placed)
    else:
        states = _by_time(placed, snapshot, block)

    def rows() -> Iterator[tuple[Any, Any, np.ndarray]]:
        for impressions, clicks, group in states:
            nothing = pa.nulls(len(group), pa.int32())
            yield (impressions, clicks, group) if has_timestamp else (nothing, nothing, group)

    return fill_table(placed.connection, "user states", STATES, rows())


def _by_time(placed: Relation, snapshot: Snapshot, block: str) -> Iterator[States]:
    """Yield states by block, day or gap, part by part; memory grows only with the users."""
    unit, gap = _unit(placed, snapshot, block)
    (last,) = placed.one_row("max(user_id)")
    has_timestamp = "timestamp" in placed.columns
    prior = "prior_impressions, prior_clicks" if has_timestamp else "0, 0"
    moment = "timestamp" if has_timestamp else "0::BIGINT"
    states = UnitStates(1 + last, gap)
    for columns in placed.parts(f"user_id, _index, {moment}, {unit}, {prior}"):
        yield states.at_unit_start(*columns)


def _by_column(placed: Relation) -> Iterator[States]:
    """Yield states by the units that a column names; memory grows only with the units.

    Sessions of a user may overlap. Units are identified by 64 bits of a hash of user, period and
    name.
    """
    key = "md5_number_lower(concat(user_id, chr(31), _index, chr(31), _unit)) AS key"
    state = "prior_impressions, prior_clicks" if "timestamp" in placed.columns else "0, 0"
    rows = f"(SELECT {key}, _index, {state} FROM {placed}) AS rows (key, period, shown, clicked)"
    units = placed.connection.cursor().sql(
        f"SELECT key, min(shown), min(clicked) FROM {rows} GROUP BY key ORDER BY key"
    )
    keys, impressions, clicks = (column.to_numpy() for column in units.to_arrow_table().columns)
    chosen = f"{key}, _index = {PERIODS.index('pretrain')}, {state}"
    for mine, own, shown, clicked in placed.parts(chosen):
        place = np.searchsorted(keys, mine)
        yield (
            np.where(own, shown, impressions[place]).astype(np.int32),
            np.where(own, clicked, clicks[place]).astype(np.int32),
            (1 + place).astype(np.int32),
        )


def _unit(placed: Relation, snapshot: Snapshot, block: str) -> tuple[str, int | None]:
    """Return SQL for the unit of a row as BIGINT, and the gap in ticks that ends a unit, if any."""
    if snapshot.kind == "period":
        return f"({block})::BIGINT", None
    if "timestamp" not in placed.columns:
        raise DataError(
            f"the snapshot '{snapshot.kind}' requires timestamps, but this log has none. Give "
            "--snapshot-column with a column that names it, or use --snapshot period."
        )
    ticks = _ticks(placed, snapshot)
    if snapshot.kind == "day":
        return f"timestamp // {ticks * DAY_S}", None
    return "0::BIGINT", ticks * SESSION_GAP_S


def check_resolution(placed: Relation) -> None:
    """Raise an error for the snapshot `impression` if timestamps are days.

    Raises:
        DataError: Timestamps are whole days.
    """
    (latest,) = placed.one_row("max(timestamp)")
    ticks = ticks_per_second(latest)
    if ticks is not None and _resolution(placed) >= ticks * DAY_S:
        raise DataError(
            "the snapshot 'impression' is finer than the timestamps, which are whole days: use "
            "--snapshot day or --snapshot period."
        )


def _ticks(placed: Relation, snapshot: Snapshot) -> int:
    first, latest = placed.one_row("min(timestamp), max(timestamp)")
    ticks = ticks_per_second(latest)
    if ticks is not None and ticks_per_second(first) != ticks:
        raise DataError(
            f"the timestamps are of different units: {first} and {latest}. Give the whole log in "
            "seconds since 1970."
        )
    if ticks is None:
        raise DataError(
            f"the snapshot '{snapshot.kind}' requires clock times; the timestamps of this log (the "
            f"largest is {latest}) only give an order. Use --snapshot-column with a column that "
            "names it, or use --snapshot period."
        )
    finest = {"day": ticks * DAY_S, "session": ticks * SESSION_GAP_S}[snapshot.kind]
    resolution = _resolution(placed)
    if resolution > finest:
        raise DataError(
            f"the snapshot '{snapshot.kind}' is finer than the timestamps, which are whole "
            f"multiples of {resolution / ticks / 3600:g} hours: use a coarser --snapshot."
        )
    if snapshot.kind == "day" and first // finest == latest // finest:
        raise DataError(
            f"all timestamps are on one day ({first} to {latest}, read as "
            "seconds since 1970), so the snapshot 'day' has a single unit. If they have another "
            "meaning, such as 20240131, convert them; else use --snapshot session or period."
        )
    return ticks


def _resolution(placed: Relation) -> int:
    """Return the largest number that divides all differences of timestamps; 0 if all are equal."""
    step, first = 0, None
    for (moments,) in placed.parts("timestamp"):
        first = moments[0] if first is None else first
        step = int(np.gcd.reduce(np.append(moments - first, step)))
        if step == 1:
            break
    return step


def _check_column(placed: Relation, snapshot: Snapshot) -> None:
    missing, distinct = placed.one_row("count(*) FILTER (_unit IS NULL), count(DISTINCT _unit)")
    if missing:
        raise DataError(
            f"column '{snapshot.column}' is empty in {counted(missing, 'impression')}: every "
            f"impression requires a {snapshot.kind}. Fill it, or use --snapshot period."
        )
    if distinct == 1:
        raise DataError(
            f"column '{snapshot.column}' has one value in the whole log, so it names no "
            f"{snapshot.kind}s. Give another --snapshot-column, or use --snapshot period."
        )


def check_groups(placed: Relation, states: Relation, snapshot: Snapshot) -> None:
    """Raise an error if no evaluation group has several test impressions.

    Args:
        placed: Impressions with the index of their period.
        states: Their states and evaluation groups, row by row.
        snapshot: The snapshot that the groups come from.

    Raises:
        DataError: Every group of the test period holds one impression.
    """
    groups, rows = one_row(
        placed.connection,
        f"""SELECT count(DISTINCT group_id), count(*) FROM {placed} POSITIONAL JOIN {states}
        WHERE _index = {PERIODS.index("test")}""",
    )
    if groups == rows:
        raise DataError(
            f"with the snapshot '{snapshot}' each of the {rows} test impressions is its own group, "
            "but GAUC compares impressions within a group. Use a coarser --snapshot."
        )
