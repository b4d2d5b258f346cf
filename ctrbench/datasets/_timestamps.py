"""Timestamps in any usual form -> whole numbers that order the log: seconds, or the log's own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ctrbench.datasets._tables import FLOATS, Rule, Table, text
from ctrbench.errors import ConfigError, DataError
from ctrbench.impressions.database import literal, one_row, quoted
from ctrbench.raw_ids import EXACT, INTEGERS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Numbers below the bound are in this unit if they count from 1970; 1e11 seconds is the year 5138.
UNITS = (("seconds", 10**11), ("milliseconds", 10**14), ("microseconds", 10**17))
BOUNDS = (*(bound for _, bound in UNITS), 10**22)
TICKS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
NUMBER = r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?"
ZONE = r".*:[0-9]{2}([.,][0-9]+)?\s*([A-Za-z].*|[-+][0-9]{2}(:?[0-9]{2})?)"  # UTC, EST, +02:00
ENOUGH = 10  # distinct timestamps from which on a coarse grid is no accident
NEARLY_ALL = 0.95  # a file may be put together from rounded times and a few exact ones
LEAST_SPACING = 32  # seconds
DAY = 86400
ROUNDED = 1000  # seconds: nobody measures time in multiples of a thousand
LATEST = 4_102_444_800  # the year 2100
OLDEST = 10**8  # the year 1973
THIS_CENTURY = 10**9
EARLY = "are before 1973, where others are of this century: a missing time, or one cut short?"
DROP = "--drop-invalid leaves such rows out, and counts them"


@dataclass(frozen=True)
class Times:
    """How one table's timestamps are read."""

    table: Table
    column: str
    dated: bool  # dates, or numbers
    value: str  # SQL: microseconds of a date, as BIGINT, or the number, as DECIMAL
    modern: (
        bool  # whether nearly all are of this century, so that a number near 0 is a missing time
    )

    def rules(self) -> list[Rule]:
        """What no timestamp may be."""
        rules = self.impossible()
        exact = EXACT.get(self.table.types[self.column])
        if exact and exact < EXACT["DOUBLE"]:
            told = "are too large for a float of 32 bits, which rounds them"
            wrong = f"abs({quoted(self.column)}) >= {exact}"
            rules.append(Rule(self.column, wrong, told, "write them as whole numbers"))
        return rules

    def impossible(self) -> list[Rule]:
        """What makes a single row useless."""
        kind = "dates like the others" if self.dated else "numbers or ISO dates"
        there = f"{text(self.table, self.column)} IS NOT NULL"
        form = "--time-format names another form, such as %m/%d/%Y"
        unread = f"{there} AND {self.value} IS NULL"
        cure = f"{DROP}; digits such as 20231114221320 are read with --time-format %Y%m%d%H%M%S"
        return [
            Rule(self.column, f"NOT ({there})", "missing", DROP),
            Rule(self.column, unread, f"are no {kind}", form),
            Rule(self.column, f"{self.value} < 0", "are negative, before 1970", DROP),
            Rule(self.column, self._too_late(), "are later than the year 2100", cure),
            *[Rule(self.column, self._too_early(), EARLY, DROP)] * self.modern,
        ]

    def _too_late(self) -> str:
        if self.dated:
            return f"{self.value} > {LATEST * 10**6}"
        ranges = [
            (LATEST * ticks, bound) for ticks, bound in zip(TICKS.values(), BOUNDS, strict=True)
        ]
        return " OR ".join(
            f"{self.value} > {low} AND {self.value} < {high}" for low, high in ranges
        )

    def _too_early(self) -> str:
        early = OLDEST * 10**6 if self.dated else OLDEST
        return f"{self.value} >= 0 AND {self.value} < {early}"


def open_times(
    connection: DuckDBPyConnection,
    tables: list[Table],
    column: str = "timestamp",
    time_format: str | None = None,
) -> list[Times]:
    """How each table's timestamps are read; whether they can be, `Times.rules` say.

    Raises:
        ConfigError: a time format that is none, or beside columns that are no text.
        DataError: some tables hold dates and others numbers, or only some a time zone.
    """
    if time_format is not None:
        typed = [table.path for table in tables if table.types[column] != "VARCHAR"]
        if typed:
            raise ConfigError(f"--time-format is for text; {typed[0]} holds {column} by its type.")
        value = f"epoch_us(try_strptime({quoted(column)}, {literal(time_format)}))"
        _check_format(connection, time_format)
        return _with_century(
            connection, [Times(table, column, True, value, False) for table in tables]
        )
    dated = [_is_dated(connection, table, column) for table in tables]
    if len(set(dated)) > 1:
        raise DataError(
            "mixed units: some files hold dates as timestamps, others numbers: "
            f"{tables[dated.index(True)].path} and {tables[dated.index(False)].path}."
        )
    if dated[0]:
        _refuse_mixed_zones(connection, tables, column)
    return _with_century(
        connection,
        [
            Times(table, column, date, _value(table, column, date), False)
            for table, date in zip(tables, dated, strict=True)
        ],
    )


def _with_century(connection: DuckDBPyConnection, times: list[Times]) -> list[Times]:
    """Note in all whether nearly all of them are of this century."""
    least = THIS_CENTURY * 10**6 if times[0].dated else THIS_CENTURY
    union = " UNION ALL ".join(f"SELECT {t.value} AS t FROM {t.table.relation}" for t in times)
    (share,) = one_row(connection, f"SELECT avg((t >= {least})::INTEGER) FROM ({union})")
    return [replace(t, modern=(share or 0) > NEARLY_ALL) for t in times]


def _check_format(connection: DuckDBPyConnection, time_format: str) -> None:
    import duckdb

    try:
        connection.execute(f"SELECT try_strptime('', {literal(time_format)})").fetchall()
    except duckdb.InvalidInputException as error:
        told = f"--time-format {time_format!r} will not do; such as %m/%d/%Y or '%d.%m.%Y %H:%M'."
        raise ConfigError(told) from error


def timestamp_expressions(
    connection: DuckDBPyConnection, times: list[Times]
) -> tuple[list[str], tuple[str, ...]]:
    """SQL for the timestamp of each table as BIGINT, and what a reader must know of it.

    Whole numbers below 1e11 stay as they are; smaller units and dates become seconds, unless
    smaller gaps would be lost. The tables hold nothing that their rules forbid.

    Raises:
        DataError: values of different units, or rounded to what a float of 32 bits can hold.
    """
    union = " UNION ALL ".join(f"SELECT {t.value} AS t FROM {t.table.relation}" for t in times)
    low, high, *whole = one_row(
        connection,
        f"""SELECT min(t), max(t), bool_and(t % 1 = 0), bool_and(t % 1000 = 0),
        bool_and(t % 1000000 = 0), bool_and(t % 1000000000 = 0) FROM ({union})""",
    )
    unit = "microseconds" if times[0].dated else _unit(high)
    if not times[0].dated and _unit(low) != unit:
        raise DataError(
            f"mixed units in '{times[0].column}': {low:.0f} looks like {_unit(low)}, {high:.0f} "
            f"like {unit}; give the whole log in one unit."
        )
    notes = _rounded(connection, times, float(high), TICKS[unit])
    scaled, kept = _scale(unit, dict(zip((0, 3, 6, 9), whole, strict=True)))
    if kept != "seconds":
        notes.append(f"Timestamps are kept in {kept}: in whole seconds, gaps would be lost.")
    return [scaled.format(t.value) for t in times], tuple(notes)


def _scale(unit: str, whole: dict[int, bool]) -> tuple[str, str]:
    """SQL that turns numbers, named `{}`, into whole ones, and the unit they are in then.

    Args:
        unit: of the numbers.
        whole: whether all are multiples of ten to this power.
    """
    ticks = TICKS[unit]
    if not whole[0] and ticks < 10**6:  # fractions of seconds or milliseconds
        return f"({{}} * {10**6 // ticks})::BIGINT", "microseconds"
    if whole[len(str(ticks)) - 1]:
        return f"({{}})::BIGINT // {ticks}", "seconds"
    if unit == "nanoseconds" and whole[3]:
        return "({})::BIGINT // 1000", "microseconds"
    return "({})::BIGINT", unit


def _is_dated(connection: DuckDBPyConnection, table: Table, column: str) -> bool:
    """Whether most of the column's values are dates."""
    kind = table.types[column]
    if kind != "VARCHAR":
        return kind.startswith(("DATE", "TIMESTAMP"))
    value = _with_point(column)
    (dates,) = one_row(
        connection,
        f"""SELECT 2 * count(*) FILTER (TRY_CAST({value} AS TIMESTAMPTZ) IS NOT NULL
                AND NOT regexp_full_match({value}, '{NUMBER}')) > count({value})
            FROM {table.relation}""",
    )
    return dates


def _with_point(column: str) -> str:
    """SQL for a date as text, its fraction of a second after a point."""
    return f"regexp_replace({quoted(column)}, '(:[0-9]{{2}}),([0-9]+)', '\\1.\\2')"


def _value(table: Table, column: str, dated: bool) -> str:
    """SQL for a timestamp: microseconds of a date as BIGINT, or the number itself as DECIMAL."""
    value, kind = quoted(column), table.types[column]
    if dated:  # a text may name its time zone, UTC if it does not
        if kind == "VARCHAR":
            return f"epoch_us(TRY_CAST({_with_point(column)} AS TIMESTAMPTZ))"
        return f"epoch_us(TRY_CAST({value} AS TIMESTAMP))"
    if kind == "VARCHAR":
        value = f"CASE WHEN regexp_full_match({value}, '{NUMBER}') THEN {value} END"
    elif kind in FLOATS:
        value = f"round({value}::DOUBLE, 6)"
    elif kind not in INTEGERS and not kind.startswith("DECIMAL"):
        value = f"CASE WHEN {value} IS NULL THEN NULL END"
    return f"TRY_CAST({value} AS DECIMAL(28, 6))"


def _refuse_mixed_zones(connection: DuckDBPyConnection, tables: list[Table], column: str) -> None:
    """Dates with and without a time zone in one log are hours apart, and nobody sees it.

    Raises:
        DataError: some have one, others do not.
    """
    found = {True: "", False: ""}
    for table in tables:
        kind = table.types[column]
        zoned, naive = kind == "TIMESTAMP WITH TIME ZONE", kind != "TIMESTAMP WITH TIME ZONE"
        if kind == "VARCHAR":
            has_zone = f"regexp_full_match(trim({quoted(column)}), '{ZONE}')"
            zoned, naive = one_row(
                connection,
                f"""SELECT coalesce(bool_or({has_zone}), false),
                coalesce(bool_or(NOT {has_zone}), false)
                FROM {table.relation} WHERE {text(table, column)} IS NOT NULL""",
            )
        found[True] = found[True] or str(table.path) * zoned
        found[False] = found[False] or str(table.path) * naive
    if found[True] and found[False]:
        raise DataError(
            f"'{column}' has a time zone in {found[True]} and none in {found[False]}: the same "
            "moment may be hours apart. Write all of them in one way; without a zone they are "
            "taken as UTC."
        )


def _rounded(
    connection: DuckDBPyConnection, times: list[Times], high: float, ticks: int
) -> list[str]:
    """Notes on timestamps that look rounded, by file: all are multiples of a thousand seconds.

    Raises:
        DataError: nearly all of a file went through a float of 32 bits, whose numbers stand 128
            seconds apart in 2023, whatever they became afterwards.
    """
    if high < EXACT["FLOAT"] * ticks:
        return []
    notes = []
    for t in times:
        source = f"(SELECT {t.value}::HUGEINT AS t FROM {t.table.relation})"
        grids = {(ticks, _spacing(high / ticks)), (1, _spacing(high))}
        for divisor, spacing in grids:
            if spacing * divisor >= LEAST_SPACING * ticks and _on_a_grid(
                connection, source, divisor, spacing, ticks
            ):
                raise DataError(
                    f"{t.table.path}: nearly all timestamps stand {spacing * divisor / ticks:g} "
                    "seconds apart, as numbers do that a float of 32 bits rounded: histories would "
                    "hold clicks of later impressions. Write them from the source again, as whole "
                    "numbers."
                )
        step = ROUNDED * ticks
        (coarse,) = one_row(connection, f"SELECT bool_and(t % {step} = 0) FROM {source}")
        if coarse:
            notes.append(
                f"All timestamps of {t.table.path.name} are multiples of {ROUNDED:,} seconds, as "
                "if rounded: impressions of one moment do not see each other's clicks."
            )
    return notes


def _spacing(high: float) -> int:
    """How far apart floats of 32 bits stand below a number."""
    return 2 ** max(int(high).bit_length() - 24, 0)


def _on_a_grid(
    connection: DuckDBPyConnection, source: str, divisor: int, spacing: int, ticks: int
) -> bool:
    """Whether nearly all numbers leave one remainder by the spacing, and not by days alone."""
    distinct, by_spacing, by_days = (
        one_row(connection, query)[0]
        for query in (
            f"SELECT count(DISTINCT t) FROM {source}",
            _most_common(source, f"t // {divisor} % {spacing}"),
            _most_common(source, f"t % {DAY * ticks}"),
        )
    )
    return distinct >= ENOUGH and by_spacing >= NEARLY_ALL and by_days < NEARLY_ALL


def _most_common(source: str, value: str) -> str:
    """SQL for the share of rows that have the most common value."""
    return f"SELECT max(n) / sum(n) FROM (SELECT count(*) AS n FROM {source} GROUP BY {value})"


def _unit(value: float) -> str:
    return next((unit for unit, bound in UNITS if value < bound), "nanoseconds")
