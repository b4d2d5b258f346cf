"""The impressions of a click log, in one file or many -> the checked and typed view of `Raw`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ctrbench.datasets._fields import read_fields
from ctrbench.datasets._ids import Kind, id_rules, id_value, ids_rules, ids_value
from ctrbench.datasets._lists import Wishes, element, history_rules, list_rules
from ctrbench.datasets._tables import (
    Rule,
    Table,
    broken_rules,
    filtered,
    missing,
    missing_columns,
    number,
    text,
)
from ctrbench.datasets._timestamps import DROP, Times, open_times, timestamp_expressions
from ctrbench.errors import DataError, raise_all
from ctrbench.impressions.database import literal, one_row, quoted
from ctrbench.raw_ids import INTEGERS
from ctrbench.schema import PERIODS, Field

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OPTIONAL = ("timestamp", "period", "history", "weight")
LABELS = (
    "write 0 for -1 or no, 1 for yes; for a rate, two rows with weights, the clicks and the others"
)


@dataclass(frozen=True)
class Log:
    """Files with the same columns; `periods` says whose rows belong to which period, if it does."""

    tables: list[Table]
    periods: list[str | None]
    clicks_only: bool  # every row is a click, so that there need not be a column that says so
    ignore_period: bool  # another split was asked for
    wishes: Wishes
    ids: dict[str, Kind] = field(default_factory=dict)  # how user_id and item_id are read
    time_format: str | None = None  # of timestamps as text
    drop_invalid: bool = False  # leave out rows without ids or with times that cannot be

    @property
    def columns(self) -> dict[str, str]:
        """Names and types of the columns, by the first file."""
        return self.tables[0].types

    @property
    def padding(self) -> str | None:
        """The id that fills up given histories, and is no item."""
        return self.wishes.pad if "history" in self.columns else None

    @property
    def has_periods(self) -> bool:
        """Whether the data set brings its own division."""
        return "period" in self.columns or self.periods[0] is not None


def make_impressions(
    connection: DuckDBPyConnection, log: Log, user_fields: list[str]
) -> tuple[list[Field], tuple[str, ...], dict[str, int]]:
    """Make the table or view `impressions`, and `users_of_log` if columns describe the user.

    Returns:
        The fields of contexts and users, what a reader must know of the rows, and counts.

    Raises:
        DataError: a column is missing, or rows hold what they should not.
    """
    _check_columns(log)
    times = []
    if "timestamp" in log.columns:
        times = open_times(connection, log.tables, time_format=log.time_format)
    log, times, dropped = _without_invalid(connection, log, times)
    problems = [
        problem
        for index, table in enumerate(log.tables)
        for problem in broken_rules(connection, table, _rules(log, index, times))
    ]
    raise_all(problems, DataError, "these impressions cannot be used:")
    typed, notes = _typed(connection, log, times)
    own = {"user_id", "item_id", "click", *OPTIONAL, *user_fields}
    others = [column for column in log.columns if column not in own]
    context, values = read_fields(connection, log.tables, others, "context", log.wishes)
    users, user_values = read_fields(connection, log.tables, user_fields, "user", log.wishes)
    kind = "TABLE" if log.clicks_only else "VIEW"
    selects = [[*row, *_named(context, more)] for row, more in zip(typed, values, strict=True)]
    connection.execute(f"CREATE {kind} impressions AS {_union(log, selects)}")
    if users:
        selects = [
            [f"{_id(log, table, 'user_id')} AS user_id", *_named(users, row)]
            for table, row in zip(log.tables, user_values, strict=True)
        ]
        connection.execute(f"CREATE VIEW users_of_log AS {_union(log, selects)}")
    told = [f"{count:,} rows were left out: {why}." for why, count in dropped.items()]
    told += _pad_notes(connection, log)
    counts = {"invalid_dropped": sum(dropped.values())} if log.drop_invalid else {}
    return context + users, (*told, *notes), counts


def _pad_notes(connection: DuckDBPyConnection, log: Log) -> list[str]:
    """How often --pad was met in given histories, if it was asked for."""
    pad, kind = log.wishes.pad, log.ids.get("item_id", "text")
    if pad is None or "history" not in log.columns:
        return []
    with_pad = replace(log.wishes, pad=None)
    entries = " UNION ALL ".join(
        f"SELECT unnest({ids_value(table, 'history', with_pad, kind)}) AS v FROM {table.relation}"
        for table in log.tables
    )
    query = f"SELECT count(*) FROM ({entries}) WHERE v::VARCHAR = {literal(pad)}"
    (met,) = one_row(connection, query)
    if met:
        return [f"--pad {pad} was taken out of given histories {met:,} times."]
    return [f"--pad {pad} occurs in no given history."]


def _without_invalid(
    connection: DuckDBPyConnection, log: Log, times: list[Times]
) -> tuple[Log, list[Times], dict[str, int]]:
    """The log without rows that lack an id or have no possible time, if asked for, and how many."""
    if not log.drop_invalid:
        return log, times, {}
    tables, dropped = [], {}
    for index, table in enumerate(log.tables):
        bad = [_id_rules(log, table, name)[0] for name in ("user_id", "item_id")]  # missing ones
        bad += times[index].impossible() if times else []
        taken = "false"  # a row is counted once, for the first of its faults
        for rule in bad:
            (count,) = one_row(
                connection,
                f"SELECT count(*) FROM {table.relation} WHERE ({rule.wrong}) AND NOT ({taken})",
            )
            if count:
                why = f"values of '{rule.column}' {rule.told}"
                dropped[why] = dropped.get(why, 0) + count
            taken += f" OR coalesce({rule.wrong}, false)"
        tables.append(filtered(connection, table, f"NOT ({taken})"))
    if not any(table.rows for table in tables):
        raise DataError("--drop-invalid leaves no row of the log.")
    times = [replace(time, table=table) for time, table in zip(times, tables, strict=bool(times))]
    return replace(log, tables=tables), times, dropped


def _check_columns(log: Log) -> None:
    """Every file has what is needed, and the same columns as the first."""
    needed = ["user_id", "item_id"] + ["click"] * (not log.clicks_only)
    problems = []
    for table in log.tables:
        problems += missing_columns(table, needed)
        strange = sorted(set(table.types) ^ set(log.columns))
        if strange:
            problems.append(
                f"{table.path}: {', '.join(strange)} stand(s) in it or in "
                f"{log.tables[0].path}, but not in both; leave such columns out with --drop."
            )
        cut = {*log.wishes.separators, *log.wishes.printed}
        kind = table.types.get("history", "VARCHAR")
        if kind != "VARCHAR" and not element(kind):
            problems.append(f"{table.path}: 'history' is {kind}; give a list of ids, or text.")
        elif "history" in table.types and kind == "VARCHAR" and "history" not in cut:
            problems.append(
                f"{table.path}: 'history' is text; say how to cut it: --list 'history=^'."
            )
    if "click" in needed and any("click" not in table.types for table in log.tables):
        problems.append("another name: --rename is_click=click; clicks alone: --negatives 4.")
    raise_all(problems, DataError, "these impressions cannot be used:")


def _rules(log: Log, index: int, times: list[Times]) -> list[Rule]:
    table = log.tables[index]
    rules = []
    for name in ("user_id", "item_id"):
        absent, *others = _id_rules(log, table, name)
        rules += [replace(absent, cure=DROP), *others]
    if log.padding is not None:
        wrong = f"{_id(log, table, 'item_id')}::VARCHAR = {literal(log.padding)}"
        cure = "what is shown is no padding: leave --pad out, or these impressions"
        rules.append(Rule("item_id", wrong, f"are {log.padding}, which --pad calls no item", cure))
    rules += times[index].rules() if times else []
    if "click" in table.types:
        rules += click_rules(table)
    if "history" in table.types:
        rules += list_rules(table, "history", log.wishes) + history_rules(table, log.wishes)
        rules += ids_rules(table, "history", log.wishes, log.ids.get("item_id", "text"))
    if "weight" in table.types:
        value = number(table, "weight")
        wrong = f"NOT coalesce(TRY_CAST({value} AS FLOAT) > 0, false)"
        rules.append(Rule("weight", wrong, "are no numbers of 32 bits above 0"))
    if "period" in table.types and not log.ignore_period:
        wrong = f"{text(table, 'period')} NOT IN {PERIODS}"
        rules.append(missing(table, "period"))
        rules.append(Rule("period", wrong, f"are none of {', '.join(PERIODS)}"))
    return rules


def _id_rules(log: Log, table: Table, column: str) -> list[Rule]:
    return id_rules(table, column, log.ids.get(column, "text"))


def _id(log: Log, table: Table, column: str) -> str:
    return id_value(table, column, log.ids.get(column, "text"))


def click_rules(table: Table) -> list[Rule]:
    """A click must be there, and 0 or 1."""
    empty = missing(table, "click")
    wrong = f"NOT ({empty.wrong}) AND NOT coalesce({click_value(table)} IN (0, 1), false)"
    return [empty, Rule("click", wrong, "are neither 0 nor 1", LABELS)]


def click_value(table: Table) -> str:
    """SQL for the label as a number; pandas writes True and False."""
    if table.types["click"] in INTEGERS:
        return quoted("click")
    value = f"lower({text(table, 'click')})"
    words = f"CASE {value} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"
    return f"coalesce({words}, TRY_CAST({value} AS DOUBLE))"


def _typed(
    connection: DuckDBPyConnection, log: Log, times: list[Times]
) -> tuple[list[list[str]], tuple[str, ...]]:
    """SQL for each table's columns that are no fields."""
    rows, notes = [], ()
    for table, period in zip(log.tables, log.periods, strict=True):
        click = f"({click_value(table)})::TINYINT" if "click" in table.types else "1::TINYINT"
        row = [f"{_id(log, table, column)} AS {column}" for column in ("user_id", "item_id")]
        row.append(f"{click} AS click")
        if log.has_periods and not log.ignore_period:
            value = text(table, "period") if period is None else literal(period)
            row.append(f"{value} AS period")
        if "weight" in table.types:
            row.append(f"({number(table, 'weight')})::FLOAT AS weight")
        if "history" in table.types:
            kind = log.ids.get("item_id", "text")
            row.append(f"{ids_value(table, 'history', log.wishes, kind)} AS history")
        rows.append(row)
    if times:
        moments, notes = timestamp_expressions(connection, times)
        for row, time in zip(rows, moments, strict=True):
            row.append(f"{time} AS timestamp")
    return rows, notes


def _named(fields: list[Field], values: list[str]) -> list[str]:
    return [f"{value} AS {quoted(f.name)}" for f, value in zip(fields, values, strict=True)]


def _union(log: Log, selects: list[list[str]]) -> str:
    return " UNION ALL ".join(
        f"SELECT {', '.join(select)} FROM {table.relation}"
        for select, table in zip(selects, log.tables, strict=True)
    )
