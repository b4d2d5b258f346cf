"""The impressions of a click log, in one file or many -> the checked and typed view of `Raw`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctrbench.datasets._fields import Wishes, list_value, read_fields
from ctrbench.datasets._tables import (
    WHOLE,
    Rule,
    Table,
    broken_rules,
    id_value,
    missing,
    missing_columns,
    number,
    text,
)
from ctrbench.datasets._timestamps import timestamp_expressions
from ctrbench.errors import DataError, raise_all
from ctrbench.impressions.database import literal, quoted
from ctrbench.schema import PERIODS, Field

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OPTIONAL = ("timestamp", "period", "history", "weight")


@dataclass(frozen=True)
class Log:
    """Files with the same columns; `periods` says whose rows belong to which period, if it does."""

    tables: list[Table]
    periods: list[str | None]
    clicks_only: bool  # every row is a click, so that there need not be a column that says so
    ignore_period: bool  # another split was asked for
    wishes: Wishes
    whole: frozenset[str] = frozenset()  # of user_id and item_id, those that are whole numbers

    @property
    def columns(self) -> dict[str, str]:
        """Names and types of the columns, by the first file."""
        return self.tables[0].types

    @property
    def has_periods(self) -> bool:
        """Whether the data set brings its own division."""
        return "period" in self.columns or self.periods[0] is not None


def make_impressions(
    connection: DuckDBPyConnection, log: Log, user_fields: list[str]
) -> tuple[list[Field], tuple[str, ...]]:
    """Make the table or view `impressions`, and `users_of_log` if columns describe the user.

    Returns:
        The fields of contexts and users, and what a reader must know of the timestamps.

    Raises:
        DataError: a column is missing, or rows hold what they should not.
    """
    _check_columns(log)
    problems = [
        problem
        for table in log.tables
        for problem in broken_rules(connection, table, _rules(log, table))
    ]
    raise_all(problems, DataError, "these impressions cannot be used:")
    typed, notes = _typed(connection, log)
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
    return context + users, notes


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
        if table.types.get("history") == "VARCHAR" and "history" not in log.wishes.separators:
            problems.append(
                f"{table.path}: 'history' is text; say how to cut it: --list 'history=^'."
            )
    if any("no column 'click'" in problem for problem in problems):
        problems.append("another name: --rename is_click=click; clicks alone: --negatives 4.")
    raise_all(problems, DataError, "these impressions cannot be used:")


def _rules(log: Log, table: Table) -> list[Rule]:
    rules = [missing(table, "user_id"), missing(table, "item_id")]
    if "click" in table.types:
        empty = missing(table, "click")
        rules.append(empty)
        wrong = f"NOT ({empty.wrong}) AND NOT coalesce({_click(table)} IN (0, 1), false)"
        rules.append(Rule("click", wrong, "are neither 0 nor 1"))
    if "weight" in table.types:
        wrong = f"NOT coalesce({number(table, 'weight')} > 0, false)"
        rules.append(Rule("weight", wrong, "are not above 0"))
    if "period" in table.types and not log.ignore_period:
        wrong = f"{text(table, 'period')} NOT IN {PERIODS}"
        rules.append(missing(table, "period"))
        rules.append(Rule("period", wrong, f"are none of {', '.join(PERIODS)}"))
    return rules


def _id(log: Log, table: Table, column: str) -> str:
    return id_value(table, column, column in log.whole)


def _click(table: Table) -> str:
    """SQL for the label as a number; pandas writes True and False."""
    if table.types["click"] in WHOLE:
        return quoted("click")
    value = f"lower({text(table, 'click')})"
    words = f"CASE {value} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"
    return f"coalesce({words}, TRY_CAST({value} AS DOUBLE))"


def _typed(connection: DuckDBPyConnection, log: Log) -> tuple[list[list[str]], tuple[str, ...]]:
    """SQL for each table's columns that are no fields."""
    rows, notes = [], ()
    for table, period in zip(log.tables, log.periods, strict=True):
        click = f"({_click(table)})::TINYINT" if "click" in table.types else "1::TINYINT"
        row = [f"{_id(log, table, column)} AS {column}" for column in ("user_id", "item_id")]
        row.append(f"{click} AS click")
        if log.has_periods and not log.ignore_period:
            value = text(table, "period") if period is None else literal(period)
            row.append(f"{value} AS period")
        if "weight" in table.types:
            row.append(f"({number(table, 'weight')})::FLOAT AS weight")
        if "history" in table.types:
            history = list_value(table, "history", log.wishes, "item_id" in log.whole)
            row.append(f"{history} AS history")
        rows.append(row)
    if "timestamp" in log.columns:
        times, notes = timestamp_expressions(connection, log.tables)
        for row, time in zip(rows, times, strict=True):
            row.append(f"{time} AS timestamp")
    return rows, notes


def _named(fields: list[Field], values: list[str]) -> list[str]:
    return [f"{value} AS {quoted(f.name)}" for f, value in zip(fields, values, strict=True)]


def _union(log: Log, selects: list[list[str]]) -> str:
    return " UNION ALL ".join(
        f"SELECT {', '.join(select)} FROM {table.relation}"
        for select, table in zip(selects, log.tables, strict=True)
    )
