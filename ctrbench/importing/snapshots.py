"""User state frozen within evaluation groups: what a model sees as of the start of a snapshot.

GAUC compares the impressions of one group with each other. If the state of an impression (the
history, the click rate so far) held outcomes of its own group, every click would raise the state of
the later impressions of the group: a model that reads the state would be wrong by construction, and
anything that dilutes its reaction would gain. So all impressions of a group share the state that
its user had strictly before the group's first impression.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from ctrbench.errors import ConfigError, DataError, UnknownNameError, unknown_name
from ctrbench.importing.database import one_row, scalar
from ctrbench.impressions.states import (
    DAY_S,
    SESSION_GAP_S,
    Freezer,
    Rows,
    counted_before,
    ticks_per_second,
    whole_moments,
)
from ctrbench.schema import PERIODS, Field, SnapshotKind

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PART = 1 << 20  # rows held in memory at a time, and those of the moment that ends a part
KINDS_BY_COLUMN = ("session", "day")  # whose units a column of the log may name

States = tuple[np.ndarray, np.ndarray, np.ndarray]  # prior impressions and clicks, group; (n,) each


@dataclass(frozen=True)
class Snapshot:
    """When the state that a model sees of a user is renewed.

    Within `train`, `valid` and `test` all impressions of a unit share one state. For `session` and
    `day` the evaluation groups are user x unit; for `period` (and `impression`) they are the users.
    `period` divides `train` into blocks about as long as `test`, so that states are equally old in
    both.
    """

    kind: SnapshotKind = "period"
    column: str | None = None  # of the log, that names a session or a day; None: from timestamps

    def __str__(self) -> str:
        return f"{self.kind} by column {self.column}" if self.column else self.kind


def parse_snapshot(kind: str, column: str | None = None) -> Snapshot:
    """Return the snapshot of this name.

    Raises:
        ConfigError: There is no such kind, or it takes no column.

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


def check_snapshot(snapshot: Snapshot, fields: tuple[Field, ...]) -> None:
    """Check a snapshot against the columns of a log.

    Raises:
        UnknownNameError: The log has no such column.
        ConfigError: Its values are no categories.
    """
    if snapshot.column is None:
        return
    kinds = {field.name: field.kind for field in fields if field.of == "context"}
    if snapshot.column not in kinds:
        raise UnknownNameError("column of the impressions", snapshot.column, list(kinds))
    if kinds[snapshot.column] != "categorical":  # numbers are kept in single precision
        raise ConfigError(
            f"--snapshot-column {snapshot.column} is read as {kinds[snapshot.column]}, and names "
            f"of a {snapshot.kind} must be categories: add --categorical {snapshot.column}."
        )


def freeze(
    connection: DuckDBPyConnection, snapshot: Snapshot, block: str, has_timestamp: bool
) -> None:
    """Make `frozen`, whose n-th row belongs to the n-th of `placed`, which is in order of time.

    Its columns: prior_impressions and prior_clicks as of the start of the impression's unit (NULL
    without timestamps), and group_id, the number of its evaluation group, from 1. Rows of
    `pretrain` keep the state of their own moment: no CTR model is trained or judged on them, and
    pre-training takes its histories there.

    Args:
        connection: Holds `placed`.
        snapshot: Neither `impression` nor unchecked.
        block: SQL for the number of the block of `train` a row lies in.
        has_timestamp: Whether the log has timestamps.

    Raises:
        DataError: The log's timestamps cannot carry the snapshot, or its column cannot.
    """
    import pyarrow as pa

    if snapshot.column is not None:
        _check_column(connection, snapshot)
        parts = _by_column(connection, has_timestamp)
    else:
        parts = _by_time(connection, snapshot, block, has_timestamp)
    connection.execute(
        "CREATE TABLE frozen (prior_impressions INTEGER, prior_clicks INTEGER, group_id INTEGER)"
    )
    for impressions, clicks, group in parts:
        nothing = pa.nulls(len(group), pa.int32())
        kept = [impressions, clicks] if has_timestamp else [nothing, nothing]
        part = pa.table([*kept, group], names=["a", "b", "c"])
        connection.register("part", part)
        connection.execute("INSERT INTO frozen FROM part")
        connection.unregister("part")


def _by_time(
    connection: DuckDBPyConnection, snapshot: Snapshot, block: str, has_timestamp: bool
) -> Iterator[States]:
    """States by block, day or gap, part by part; memory is bounded by the users."""
    reading = connection.cursor()  # the connection itself writes meanwhile
    unit, gap = _unit(reading, snapshot, block, has_timestamp)
    users = 1 + scalar(reading, "SELECT max(user_id) FROM placed")
    prior = "prior_impressions, prior_clicks" if has_timestamp else "0, 0"
    moment = "timestamp" if has_timestamp else "0::BIGINT"
    rows = connection.cursor().sql(f"SELECT user_id, _index, {moment}, {unit}, {prior} FROM placed")
    state = Freezer(users, gap)
    for batch in rows.to_arrow_reader(PART):
        yield state.frozen(*(column.to_numpy(zero_copy_only=False) for column in batch.columns))


def _by_column(connection: DuckDBPyConnection, has_timestamp: bool) -> Iterator[States]:
    """States by the units that a column names, part by part; memory is bounded by the units.

    A unit is one whatever else the user does meanwhile: sessions may overlap. Units are told
    apart by 64 bits of a hash of user, period and name.
    """
    key = "md5_number_lower(concat(user_id, chr(31), _index, chr(31), _unit)) AS key"
    state = "prior_impressions, prior_clicks" if has_timestamp else "0, 0"
    rows = f"(SELECT {key}, _index, {state} FROM placed) AS rows (key, period, shown, clicked)"
    units = connection.cursor().sql(
        f"SELECT key, min(shown), min(clicked) FROM {rows} GROUP BY key ORDER BY key"
    )
    keys, impressions, clicks = (column.to_numpy() for column in units.to_arrow_table().columns)
    reading = connection.cursor().sql(
        f"SELECT key, period = {PERIODS.index('pretrain')}, shown, clicked FROM {rows}"
    )
    for batch in reading.to_arrow_reader(PART):
        mine, own, shown, clicked = (
            column.to_numpy(zero_copy_only=False) for column in batch.columns
        )
        place = np.searchsorted(keys, mine)
        yield (
            np.where(own, shown, impressions[place]).astype(np.int32),
            np.where(own, clicked, clicks[place]).astype(np.int32),
            (1 + place).astype(np.int32),
        )


def _unit(
    connection: DuckDBPyConnection, snapshot: Snapshot, block: str, has_timestamp: bool
) -> tuple[str, int | None]:
    """SQL for the unit of a row as BIGINT, and the gap in ticks that ends one, if a gap does."""
    if snapshot.kind == "period":
        return f"({block})::BIGINT", None
    if not has_timestamp:
        raise DataError(
            f"the snapshot '{snapshot.kind}' needs timestamps, and this log has none. Give "
            "--snapshot-column with a column that names it, or use --snapshot period."
        )
    ticks = _ticks(connection, snapshot)
    if snapshot.kind == "day":
        return f"timestamp // {ticks * DAY_S}", None
    return "0::BIGINT", ticks * SESSION_GAP_S


def check_resolution(connection: DuckDBPyConnection) -> None:
    """Refuse the state of the moment where timestamps are days: it would be that of the day.

    Raises:
        DataError: Timestamps are whole days.
    """
    ticks = ticks_per_second(scalar(connection, "SELECT max(timestamp) FROM placed"))
    if ticks is not None and _resolution(connection) >= ticks * DAY_S:
        raise DataError(
            "the snapshot 'impression' is finer than the timestamps, which are whole days: use "
            "--snapshot day or --snapshot period."
        )


def _ticks(connection: DuckDBPyConnection, snapshot: Snapshot) -> int:
    first, latest = one_row(connection, "SELECT min(timestamp), max(timestamp) FROM placed")
    ticks = ticks_per_second(latest)
    if ticks is not None and ticks_per_second(first) != ticks:
        raise DataError(
            f"the timestamps are of different units: {first} and {latest}. Give the whole log in "
            "seconds since 1970."
        )
    if ticks is None:
        raise DataError(
            f"the snapshot '{snapshot.kind}' needs clock times; the timestamps of this log (the "
            f"largest is {latest}) are an order only. Give --snapshot-column with a column that "
            "names it, or use --snapshot period."
        )
    finest = {"day": ticks * DAY_S, "session": ticks * SESSION_GAP_S}[snapshot.kind]
    resolution = _resolution(connection)
    if resolution > finest:
        raise DataError(
            f"the snapshot '{snapshot.kind}' is finer than the timestamps, which are whole "
            f"multiples of {resolution / ticks / 3600:g} hours: use a coarser --snapshot."
        )
    if snapshot.kind == "day" and first // finest == latest // finest:
        raise DataError(
            f"the whole log lies on one day by its timestamps ({first} to {latest}, taken as "
            "seconds since 1970), so the snapshot 'day' divides nothing. If they are something "
            "else (20240131, for one), convert them; else use --snapshot session or period."
        )
    return ticks


def _resolution(connection: DuckDBPyConnection) -> int:
    """The largest number that divides all differences of timestamps; 0 if all are equal."""
    step, first = 0, None
    for moments in _moments(connection):
        first = moments[0] if first is None else first
        step = int(np.gcd.reduce(np.append(moments - first, step)))
        if step == 1:
            break
    return step


def _moments(connection: DuckDBPyConnection) -> Iterator[np.ndarray]:
    rows: Any = connection.cursor().sql("SELECT timestamp FROM placed")
    for batch in rows.to_arrow_reader(PART):
        yield batch.column(0).to_numpy()


def _check_column(connection: DuckDBPyConnection, snapshot: Snapshot) -> None:
    missing, distinct = one_row(
        connection, "SELECT count(*) FILTER (_unit IS NULL), count(DISTINCT _unit) FROM placed"
    )
    if missing:
        raise DataError(
            f"column '{snapshot.column}' is empty in {missing} impressions: every impression needs "
            f"a {snapshot.kind}. Fill it, or use --snapshot period."
        )
    if distinct == 1:
        raise DataError(
            f"column '{snapshot.column}' has one value in the whole log, so it names no "
            f"{snapshot.kind}s. Give another --snapshot-column, or use --snapshot period."
        )


def check_groups(connection: DuckDBPyConnection, snapshot: Snapshot) -> None:
    """Refuse evaluation groups that cannot carry GAUC.

    Raises:
        DataError: Every group of the test period holds one impression.
    """
    groups, rows = one_row(
        connection,
        f"""SELECT count(DISTINCT group_id), count(*) FROM placed POSITIONAL JOIN frozen
        WHERE _index = {PERIODS.index("test")}""",
    )
    if groups == rows:
        raise DataError(
            f"by the snapshot '{snapshot}' each of the {rows} test impressions is a group of its "
            "own, and GAUC compares impressions of one group. Use a coarser --snapshot."
        )


def make_earlier(connection: DuckDBPyConnection) -> None:
    """Make `earlier`, whose n-th row belongs to the n-th of `encoded`, which is in order of time.

    Its columns: prior_impressions and prior_clicks, where a tie is not before; the user's
    impressions; and where the user's clicks start among all clicks, one user after the other.
    """
    import pyarrow as pa

    users = 1 + scalar(connection, "SELECT max(user_id) FROM encoded")
    shown, clicked = np.zeros(users, np.int64), np.zeros(users, np.int64)
    reading = connection.cursor()
    for user, _, click in _read(reading):
        shown += np.bincount(user, minlength=users)
        clicked += np.bincount(user[click == 1], minlength=users)
    start = np.cumsum(clicked) - clicked
    connection.execute(
        "CREATE TABLE earlier (prior_impressions INTEGER, prior_clicks INTEGER, "
        "_user_impressions BIGINT, _user_start BIGINT)"
    )
    parts = whole_moments(_read(reading))
    for user, impressions, clicks in counted_before(parts, users):
        part = pa.table([impressions, clicks, shown[user], start[user]], names=["a", "b", "c", "d"])
        connection.register("part", part)
        connection.execute("INSERT INTO earlier FROM part")
        connection.unregister("part")


def _read(connection: DuckDBPyConnection) -> Iterator[Rows]:
    rows = connection.sql("SELECT user_id, timestamp, click FROM encoded")
    for batch in rows.to_arrow_reader(PART):
        user, moment, click = (column.to_numpy() for column in batch.columns)
        yield user, moment, click
