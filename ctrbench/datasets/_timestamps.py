"""Timestamps in any usual form -> whole numbers that order the log: seconds, or the log's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench.datasets._tables import Rule, Table, broken_rules, text
from ctrbench.errors import DataError, raise_all
from ctrbench.impressions.database import one_row, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Numbers below the bound are in this unit if they count from 1970; 1e11 seconds is the year 5138.
UNITS = (("seconds", 10**11), ("milliseconds", 10**14), ("microseconds", 10**17))
WHOLE = r"-?[0-9]+(\.0*)?"


def timestamp_expressions(
    connection: DuckDBPyConnection, tables: list[Table], column: str = "timestamp"
) -> tuple[list[str], tuple[str, ...]]:
    """SQL for the timestamp of each table as BIGINT, and what a reader must know of it.

    Whole numbers below 1e11 stay as they are; milliseconds, microseconds and dates become seconds,
    unless smaller gaps would be lost.

    Raises:
        DataError: values are missing, negative, no timestamps, or of different units.
    """
    dated = [_is_dated(connection, table, column) for table in tables]
    values = [_value(table, column, date) for table, date in zip(tables, dated, strict=True)]
    problems = []
    for table, value, date in zip(tables, values, dated, strict=True):
        kind = "dates like the others" if date else "whole numbers or ISO dates"
        there = f"{text(table, column)} IS NOT NULL"
        problems += broken_rules(
            connection,
            table,
            [
                Rule(column, f"NOT ({there})", "missing"),
                Rule(column, f"{there} AND {value} IS NULL", f"are no {kind}"),
                Rule(column, f"{value} < 0", "are negative"),
            ],
        )
    raise_all(problems, DataError, "these timestamps cannot be used:")
    if len(set(dated)) > 1:
        raise DataError("mixed units: some files hold dates as timestamps, others numbers.")
    return _in_one_unit(connection, tables, column, values, "microseconds" if dated[0] else None)


def _in_one_unit(
    connection: DuckDBPyConnection,
    tables: list[Table],
    column: str,
    values: list[str],
    unit: str | None,
) -> tuple[list[str], tuple[str, ...]]:
    union = " UNION ALL ".join(
        f"SELECT {value} AS t FROM {table.relation}"
        for table, value in zip(tables, values, strict=True)
    )
    low, high, whole_ms, whole_us = one_row(
        connection,
        f"SELECT min(t), max(t), bool_and(t % 1000 = 0), bool_and(t % 1000000 = 0) FROM ({union})",
    )
    if unit is None and _unit(low) != _unit(high):
        raise DataError(
            f"mixed units in '{column}': {low} looks like {_unit(low)}, {high} like {_unit(high)}; "
            "give the whole log in one unit."
        )
    unit = unit or _unit(high)
    divisor, whole = {"milliseconds": (1000, whole_ms), "microseconds": (10**6, whole_us)}.get(
        unit, (1, True)
    )
    if not whole:
        return values, (f"Timestamps are kept in {unit}: in whole seconds, gaps would be lost.",)
    return [f"({value}) // {divisor}" for value in values], ()


def _is_dated(connection: DuckDBPyConnection, table: Table, column: str) -> bool:
    """Whether most of the column's values are dates."""
    kind = table.types[column]
    if kind != "VARCHAR":
        return kind.startswith(("DATE", "TIMESTAMP"))
    value = quoted(column)
    (dates,) = one_row(
        connection,
        f"""SELECT 2 * count(*) FILTER (TRY_CAST({value} AS {_moment(kind)}) IS NOT NULL
                AND NOT regexp_full_match({value}, '{WHOLE}')) > count({value})
            FROM {table.relation}""",
    )
    return dates


def _value(table: Table, column: str, dated: bool) -> str:
    """SQL for a timestamp as BIGINT: microseconds of a date, or the number itself."""
    value, kind = quoted(column), table.types[column]
    if dated:
        return f"epoch_us(TRY_CAST({value} AS {_moment(kind)}))"
    if kind == "VARCHAR":
        whole = f"regexp_full_match({value}, '{WHOLE}')"
        return f"CASE WHEN {whole} THEN TRY_CAST(split_part({value}, '.', 1) AS BIGINT) END"
    if kind in ("FLOAT", "DOUBLE"):
        return f"CASE WHEN {value} = floor({value}) THEN TRY_CAST({value} AS BIGINT) END"
    return f"TRY_CAST({value} AS BIGINT)"


def _moment(kind: str) -> str:
    """The type through which a date is read: a text may name its time zone, UTC if it does not."""
    return "TIMESTAMPTZ" if kind == "VARCHAR" else "TIMESTAMP"


def _unit(value: int) -> str:
    return next((unit for unit, bound in UNITS if value < bound), "nanoseconds")
