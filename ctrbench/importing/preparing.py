"""From raw rows to numbered ones: ids, codes, periods, and what each user did strictly before."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ctrbench.errors import DataError, raise_all
from ctrbench.importing.database import column_types, quoted
from ctrbench.importing.numbering import encoded, number_ids, number_values
from ctrbench.importing.snapshots import (
    Snapshot,
    check_groups,
    check_resolution,
    check_snapshot,
    freeze,
    make_earlier,
)
from ctrbench.importing.splits import block_expression, period_expression
from ctrbench.impressions.states import train_blocks
from ctrbench.schema import PERIODS, Field, Split

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Progress = Callable[[str], None]

PERIOD = Snapshot()
OWNERS = ("user", "item", "context")
RESERVED = {
    *("user_id", "item_id", "click", "timestamp", "period", "weight", "history", "raw_id"),
    *("listed", "history_start", "history_length", "prior_impressions", "prior_clicks"),
    *("p_true", "group_id"),
}


@dataclass(frozen=True)
class Raw:
    """What an importer hands over: views in a database, and what they mean.

    - `impressions`: `user_id` and `item_id`, both VARCHAR or, faster, whole numbers from 0 of one
      integer type in all views; `click` 0 or 1; where there are any,
      `timestamp` BIGINT, `period` VARCHAR, `weight` FLOAT, `history` VARCHAR[]; context fields;
      of a simulated log `p_true` FLOAT, the probability that the click was drawn from.
    - `items` (may be absent): `item_id` once each, and item fields. `users`: likewise.

    Fields are VARCHAR (categorical, text), VARCHAR[] (list) or FLOAT (numeric); NULL is missing.
    """

    connection: DuckDBPyConnection
    importer: str
    label: str  # what counts as a click, in words
    split: Split
    fields: tuple[Field, ...] = ()  # sizes are filled in here
    snapshot: Snapshot = PERIOD
    valid_share: float | None = None  # of a given train period, when there is no valid one
    images: Path | None = None  # a folder of <item id>.jpg, or Parquet of item_id and bytes
    notes: tuple[str, ...] = ()
    counts: dict[str, int] = dataclasses.field(default_factory=dict)  # by the importer


@dataclass(frozen=True)
class Prepared:
    """What the tables `placed`, `item_ids`, `user_ids` and, if given, `history_lists` hold.

    With a snapshot other than `impression`, `frozen` stands beside `placed`, row by row.
    """

    fields: tuple[Field, ...]  # in canonical order, with sizes
    periods: dict[str, tuple[int, int]]  # half-open ranges of rows
    has_timestamp: bool
    has_weight: bool
    has_p_true: bool
    history: Literal["derived", "given"]
    snapshot: Snapshot
    order: tuple[str, ...]  # columns of `placed`: the order of the record's rows
    in_order: bool  # whether the rows of `placed` stand in it


def prepare(raw: Raw, progress: Progress) -> Prepared:
    """Number, place and count every impression, in tables of the raw data's own database.

    Raises:
        DataError: an unsuitable field name, neither timestamps nor histories, an empty period, or
            clicks only (or none).
    """
    connection = raw.connection
    columns = column_types(connection, "impressions")
    has_timestamp, has_history = "timestamp" in columns, "history" in columns
    _check_fields(raw.fields)
    if not (has_timestamp or has_history):
        raise DataError(
            "the impressions have neither a timestamp nor a history: without one of them nobody "
            "knows what a user clicked before."
        )
    if raw.split.kind != "given" and not has_timestamp:
        raise DataError(f"the split {raw.split} needs a timestamp; without one, give the periods.")
    if raw.split.kind == "given" and "period" not in columns:
        raise DataError("a given split needs a column 'period', or files as train=FILE, test=FILE.")
    check_snapshot(raw.snapshot, raw.fields)
    progress("numbering users and items")
    number_ids(connection, has_history)
    kept = [field for field in raw.fields if field.name != raw.snapshot.column]
    ordered = sorted(kept, key=lambda field: (OWNERS.index(field.of), field.name))
    fields = tuple(
        field.model_copy(update={"size": number_values(connection, index, field)})
        if field.kind in ("categorical", "list")
        else field
        for index, field in enumerate(ordered)
    )
    progress("numbering impressions")
    order = _order(fields, set(columns), raw.snapshot.column)
    _encode(connection, fields, set(columns), order, raw.snapshot.column)
    progress("looking back in time")
    _count_earlier(connection, has_timestamp)
    if has_history:
        _number_histories(connection, has_timestamp)
    progress("dividing into periods")
    periods = _place(connection, raw)
    _freeze(connection, raw, periods, has_timestamp)
    history = "given" if has_history else "derived"
    given = ("weight" in columns, "p_true" in columns)
    in_order = has_timestamp and raw.split.kind == "time"
    return Prepared(
        fields,
        periods,
        has_timestamp,
        *given,
        history,
        raw.snapshot,
        ("_index", *order),
        in_order,
    )


def _check_fields(fields: tuple[Field, ...]) -> None:
    problems, seen = [], set()
    for field in fields:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", field.name):
            problems.append(
                f"field {field.name!r}: use letters, digits and '_', a letter first; rename it."
            )
        elif field.name.lower() in RESERVED:
            problems.append(f"field {field.name!r}: the name is reserved; rename it.")
        elif field.kind == "text" and field.of != "item":
            problems.append(f"field {field.name!r}: only items have text fields; drop it.")
        elif field.name.lower() in seen:
            problems.append(f"field {field.name!r} stands in two tables; rename or drop one.")
        seen.add(field.name.lower())
    raise_all(problems, DataError, "these fields cannot be stored:")


def _order(fields: tuple[Field, ...], columns: set[str], unit: str | None) -> tuple[str, ...]:
    """Rows in the order of time and everything else; without times, of the files."""
    if "timestamp" not in columns:
        return ("_line",)
    context = [quoted(field.name) for field in fields if field.of == "context"]
    key = ["timestamp", "user_id", "item_id", "click", *(["weight"] * ("weight" in columns))]
    more = ["_history"] * ("history" in columns) + ["_unit"] * (unit is not None)
    return (*key, *context, *more)


def _encode(
    connection: DuckDBPyConnection,
    fields: tuple[Field, ...],
    columns: set[str],
    order: tuple[str, ...],
    unit: str | None,
) -> None:
    """Make `encoded`: the impressions as numbers, in order; columns of ours start with '_'."""
    chosen = ["user_ids.user_id", "item_ids.item_id", "click::TINYINT AS click"]
    joins = [
        "JOIN user_ids ON user_ids.raw_id = impressions.user_id",
        "JOIN item_ids ON item_ids.raw_id = impressions.item_id",
    ]
    chosen.append("timestamp::BIGINT AS timestamp" if "timestamp" in columns else "_line")
    if "weight" in columns:
        chosen.append("weight::FLOAT AS weight")
    if "p_true" in columns:
        chosen.append("p_true::FLOAT AS p_true")
    if "period" in columns:
        draw = "md5_number_lower(concat(impressions.user_id, chr(31), impressions.item_id))"
        chosen += ["period AS _period", f"{draw} AS _draw"]
    if "history" in columns:
        chosen.append(f"{_history_key('impressions.history')} AS _history")
    if unit is not None:
        value = f"nullif(impressions.{quoted(unit)}::VARCHAR, '')"
        chosen.append(f"CASE WHEN {value} IS NOT NULL THEN md5_number_lower({value}) END AS _unit")
    for index, field in enumerate(fields):
        if field.of == "context":
            expression, join = encoded(index, field, "impressions")
            chosen.append(expression)
            joins.append(join)
    rows = "(SELECT *, row_number() OVER () AS _line FROM impressions)"
    source = "impressions" if "timestamp" in columns else f"{rows} AS impressions"
    rows = f"SELECT {', '.join(chosen)} FROM {source} {' '.join(joins)}"
    connection.execute(f"CREATE TABLE encoded AS FROM ({rows}) ORDER BY {', '.join(order)}")


def _history_key(history: str) -> str:
    """SQL for 128 bits that stand for a list of raw ids; NULL for the empty one."""
    return f"md5_number(nullif(array_to_string({history}, chr(31)), ''))"


def _count_earlier(connection: DuckDBPyConnection, has_timestamp: bool) -> None:
    """Make `counted`: `encoded` and what the user did strictly before; a tie is not before."""
    if not has_timestamp:
        connection.execute(
            "CREATE VIEW counted AS SELECT *, NULL::BIGINT AS timestamp FROM encoded"
        )
        return
    make_earlier(connection)
    connection.execute("CREATE VIEW counted AS FROM encoded POSITIONAL JOIN earlier")


def _number_histories(connection: DuckDBPyConnection, has_timestamp: bool) -> None:
    """Make `history_lists`: each distinct given list, in order of its first use, and its start."""
    moment = "timestamp" if has_timestamp else "_line"
    connection.execute(
        f"""CREATE TABLE history_lists AS
        WITH used AS (SELECT _history, min({moment}) AS first FROM encoded GROUP BY _history),
        lists AS (SELECT {_history_key("history")} AS _history, any_value(history) AS history
            FROM impressions GROUP BY ALL)
        SELECT _history, history, len(history)::INTEGER AS length,
            (sum(len(history)) OVER (ORDER BY first, _history ROWS UNBOUNDED PRECEDING)
                - len(history))::BIGINT AS start
        FROM used JOIN lists USING (_history)"""
    )


def _place(connection: DuckDBPyConnection, raw: Raw) -> dict[str, tuple[int, int]]:
    """Make `placed`: `counted` with the index of each row's period; returns the periods' ranges."""
    expression = period_expression(connection, raw.split, raw.valid_share)
    connection.execute(f"CREATE VIEW placed AS SELECT *, {expression} AS _index FROM counted")
    query = "SELECT _index, count(*), sum(click) FROM placed GROUP BY _index"
    counts = {index: (rows, clicks) for index, rows, clicks in connection.execute(query).fetchall()}
    rows = {name: counts.get(index, (0, 0))[0] for index, name in enumerate(PERIODS)}
    clicks = sum(clicked for _, clicked in counts.values())
    total = sum(rows.values())
    if clicks in (0, total):
        cure = " (a log of clicks alone: `import table --negatives 4` draws some)" if clicks else ""
        raise DataError(
            f"all {total} impressions are {'clicks' if clicks else 'non-clicks'}: a CTR model "
            f"needs both{cure}."
        )
    empty = [name for name in PERIODS[1:] if not rows[name]]
    if empty:
        listed = ", ".join(f"{name} {count}" for name, count in rows.items())
        cure = "give files for them" if raw.split.kind == "given" else "choose other shares"
        raise DataError(
            f"the split {raw.split} leaves {', '.join(empty)} without impressions ({listed}); "
            f"{cure}."
        )
    periods, start = {}, 0
    for name, count in rows.items():
        if count:
            periods[name] = (start, start + count)
        start += count
    return periods


def _freeze(
    connection: DuckDBPyConnection,
    raw: Raw,
    periods: dict[str, tuple[int, int]],
    has_timestamp: bool,
) -> None:
    """Make `frozen`, unless the state of the moment is asked for."""
    if raw.snapshot.kind == "impression":
        if has_timestamp:
            check_resolution(connection)
        return
    block = "0"
    if raw.snapshot.kind == "period" and has_timestamp:
        within = block_expression(connection, raw.split, train_blocks(periods))
        block = f"CASE WHEN _index = {PERIODS.index('train')} THEN {within} ELSE 0 END"
    freeze(connection, raw.snapshot, block, has_timestamp)
    if raw.snapshot.kind != "period":
        check_groups(connection, raw.snapshot)
