"""Convert timestamps of any common form into integers: seconds, or a finer unit of the log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.datasets._tables import FLOATS, Rule, Table, text
from ctrbench.errors import ConfigError, DataError
from ctrbench.importing.relations import literal, one_row, quoted
from ctrbench.raw_ids import EXACT, INTEGERS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Numbers below the bound have this unit if they count from 1970; 1e11 seconds is the year 5138.
UNITS = (("seconds", 10**11), ("milliseconds", 10**14), ("microseconds", 10**17))
BOUNDS = (*(bound for _, bound in UNITS), 10**22)
TICKS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
NUMBER = r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?"
ZONE = r".*:[0-9]{2}([.,][0-9]+)?\s*([A-Za-z].*|[-+][0-9]{2}(:?[0-9]{2})?)"  # UTC, EST, +02:00
ENOUGH = 10  # distinct timestamps; with fewer, a coarse grid may be a coincidence
NEARLY_ALL = 0.95  # a file may combine rounded times and a few exact ones
LEAST_SPACING = 32  # seconds
DAY = 86400
ROUNDED = 1000  # seconds; no clock measures in multiples of a thousand
LATEST = 4_102_444_800  # the year 2100
OLDEST = 10**8  # the year 1973
THIS_CENTURY = 10**9
EARLY = "are before 1973 although nearly all others are after 2001 (missing or truncated times)"
DIGITS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M"}  # 14 digits are after the year 2100
DROP = "--drop-invalid 0.1% sets aside and counts up to that share of rows"


@dataclass(frozen=True)
class Times:
    """How one table's timestamps are read."""

    table: Table
    column: str
    dated: bool  # dates instead of numbers
    value: str  # SQL: microseconds of a date as BIGINT, or the number as BIGINT or DECIMAL
    modern: bool  # nearly all are of this century, so that a number near 0 is a missing time

    def rules(self) -> list[Rule]:
        """Return the rules that timestamps must satisfy."""
        rules = self.impossible()
        exact = EXACT.get(self.table.types[self.column])
        if exact and exact < EXACT["DOUBLE"]:
            problem = "are too large for 32-bit floats, which round them"
            wrong = f"abs({quoted(self.column)}) >= {exact}"
            rules.append(Rule(self.column, wrong, problem, "write them as integers"))
        return rules

    def impossible(self) -> list[Rule]:
        """Return the rules for missing and impossible times."""
        kind = "dates like the others" if self.dated else "numbers or ISO dates"
        whole = self.table.types[self.column] in WHOLE
        present = quoted(self.column) if whole else text(self.table, self.column)
        there = f"{present} IS NOT NULL"
        form = "for another format give --time-format, such as %m/%d/%Y"
        unread = f"{there} AND {self.value} IS NULL"
        cure = f"{DROP}; for digits such as 20231114221320 give --time-format %Y%m%d%H%M%S"
        return [
            Rule(self.column, f"NOT ({there})", "are missing", DROP),
            Rule(self.column, unread, f"are not {kind}", form),
            Rule(self.column, f"{self.value} < 0", "are negative, that is before 1970", DROP),
            Rule(self.column, self._too_late(), "are after the year 2100", cure),
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
    """Return how each table's timestamps are read. `Times.rules` checks the values.

    Args:
        connection: The database of the tables.
        tables: The tables of the log.
        column: The timestamp column.
        time_format: strptime format of text or whole numbers; None for units and ISO dates.

    Raises:
        ConfigError: The time format is invalid, or the column is neither text nor whole numbers.
        DataError: Tables mix dates and numbers, or dates with and without a time zone.
    """
    if time_format is not None:
        other = [table for table in tables if table.types[column] not in ("VARCHAR", *WHOLE)]
        if other:
            raise ConfigError(
                f"--time-format requires text or whole numbers, but '{column}' of "
                f"{other[0].path} has type {other[0].types[column]}. Remove the option."
            )
        value = f"epoch_us(try_strptime({quoted(column)}::VARCHAR, {literal(time_format)}))"
        _check_format(connection, time_format)
        return _with_century(
            connection, [Times(table, column, True, value, False) for table in tables]
        )
    dated = [_is_dated(connection, table, column) for table in tables]
    if len(set(dated)) > 1:
        raise DataError(
            f"mixed units: the timestamps of {tables[dated.index(True)].path} are dates, those of "
            f"{tables[dated.index(False)].path} are numbers. Convert one of them."
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
    """Set `modern` of all tables."""
    least = THIS_CENTURY * 10**6 if times[0].dated else THIS_CENTURY
    union = " UNION ALL ".join(f"SELECT {t.value} AS t FROM {t.table.relation}" for t in times)
    (share,) = one_row(connection, f"SELECT avg((t >= {least})::INTEGER) FROM ({union})")
    return [replace(t, modern=(share or 0) > NEARLY_ALL) for t in times]


def _check_format(connection: DuckDBPyConnection, time_format: str) -> None:
    import duckdb

    try:
        connection.execute(f"SELECT try_strptime('', {literal(time_format)})").fetchall()
    except duckdb.InvalidInputException as error:
        raise ConfigError(
            f"--time-format {time_format!r} is not a valid format. Examples: %m/%d/%Y, "
            "'%d.%m.%Y %H:%M'."
        ) from error


def timestamp_expressions(
    connection: DuckDBPyConnection, times: list[Times]
) -> tuple[list[str], tuple[str, ...]]:
    """Return SQL for each table's timestamp as BIGINT, and notes for readers of tables.

    Integers below 1e11 are unchanged. Smaller units and dates become seconds, unless that would
    merge distinct times.

    Args:
        connection: The database of the tables.
        times: How each table's timestamps are read; all values satisfy `Times.rules`.

    Raises:
        DataError: Values have different units, are dates written as digits, or were rounded by a
            32-bit float.
    """
    union = " UNION ALL ".join(f"SELECT {t.value} AS t FROM {t.table.relation}" for t in times)
    low, high, *whole = one_row(
        connection,
        f"""SELECT min(t), max(t), bool_and(t % 1 = 0), bool_and(t % 1000 = 0),
        bool_and(t % 1000000 = 0), bool_and(t % 1000000000 = 0) FROM ({union})""",
    )
    unit = "microseconds" if times[0].dated else _unit(high)
    if not times[0].dated and _unit(low) != unit:
        first, last = (_file_of(connection, times, value) for value in (low, high))
        raise DataError(
            f"mixed units in '{times[0].column}': {low:.0f} ({first}) appears to be in "
            f"{_unit(low)}, {high:.0f} ({last}) in {unit}. Convert all timestamps to one unit."
        )
    if not times[0].dated:
        _refuse_digits(connection, times, union, low, high)
    notes = _rounded(connection, times, float(high), TICKS[unit])
    scaled, kept = _scale(unit, dict(zip((0, 3, 6, 9), whole, strict=True)))
    if kept != "seconds":
        notes.append(
            f"Timestamps are stored in {kept}, because seconds would merge distinct times."
        )
    return [scaled.format(t.value) for t in times], tuple(notes)


def unit_in_words(connection: DuckDBPyConnection, times: list[Times]) -> str:
    """Return the form of the timestamps in words: dates, or numbers of a unit.

    Args:
        connection: The database of the tables.
        times: How each table's timestamps are read.
    """
    if times[0].dated:
        return "dates"
    union = " UNION ALL ".join(f"SELECT {t.value} AS t FROM {t.table.relation}" for t in times)
    (high,) = one_row(connection, f"SELECT max(t) FROM ({union})")
    return f"{_unit(high)} since 1970" if high >= OLDEST else "numbers that only give an order"


def _file_of(connection: DuckDBPyConnection, times: list[Times], value: float) -> Path:
    """Return the first file that contains a timestamp."""
    found = (
        time.table.path
        for time in times
        if one_row(
            connection, f"SELECT bool_or({time.value} = {value}) FROM {time.table.relation}"
        )[0]
    )
    return next(found)


def _refuse_digits(
    connection: DuckDBPyConnection, times: list[Times], union: str, low: float, high: float
) -> None:
    """Raise an error if all numbers are the digits of dates since 1970, such as 20231114.

    Args:
        connection: The database of the tables.
        times: How each table's timestamps are read.
        union: SQL of all timestamps, named `t`.
        low: The smallest.
        high: The largest.

    Raises:
        DataError: The numbers are dates.
    """
    digits = len(f"{high:.0f}")
    form, of_year = DIGITS.get(digits), 10 ** (digits - len("1970"))
    if form is None or low < 1970 * of_year:  # most seconds since 1970: reading them is slow
        return
    date = f"try_strptime(t::BIGINT::VARCHAR, '{form}')"
    (dates,) = one_row(
        connection, f"SELECT bool_and(t % 1 = 0 AND {date} IS NOT NULL) FROM ({union})"
    )
    if dates:
        raise DataError(
            f"{times[0].table.path}: all values of '{times[0].column}' are dates written as "
            f"digits, such as {high:.0f}, which are no seconds since 1970. Give --time-format "
            f"{form}."
        )


def _scale(unit: str, whole: dict[int, bool]) -> tuple[str, str]:
    """Return SQL that converts numbers, named `{}`, into integers, and the integers' unit.

    Args:
        unit: The unit of the numbers.
        whole: By power, whether all numbers are multiples of ten to this power.
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
    """Return whether most of the column's values are dates."""
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
    """Return SQL for a date as text with a decimal point before fractions of a second."""
    return f"regexp_replace({quoted(column)}, '(:[0-9]{{2}}),([0-9]+)', '\\1.\\2')"


def _value(table: Table, column: str, dated: bool) -> str:
    """Return SQL for a timestamp: microseconds of a date as BIGINT, or the number.

    The number is DECIMAL, or BIGINT if its column holds integers, which are much faster.
    """
    value, kind = quoted(column), table.types[column]
    if dated:  # a text may include its time zone; the default is UTC
        if kind == "VARCHAR":
            return f"epoch_us(TRY_CAST({_with_point(column)} AS TIMESTAMPTZ))"
        return f"epoch_us(TRY_CAST({value} AS TIMESTAMP))"
    if kind == "VARCHAR":
        value = f"CASE WHEN regexp_full_match({value}, '{NUMBER}') THEN {value} END"
    elif kind in WHOLE:
        return f"{value}::BIGINT"
    elif kind in FLOATS:
        value = f"round({value}::DOUBLE, 6)"
    elif kind not in INTEGERS and not kind.startswith("DECIMAL"):
        value = f"CASE WHEN {value} IS NULL THEN NULL END"
    return f"TRY_CAST({value} AS DECIMAL(28, 6))"


def _refuse_mixed_zones(connection: DuckDBPyConnection, tables: list[Table], column: str) -> None:
    """Raise an error if only some dates have a time zone: equal moments would be hours apart.

    Raises:
        DataError: Some dates have a time zone, others do not.
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
            f"'{column}' has a time zone in {found[True]} but not in {found[False]}, so that equal "
            "moments may be hours apart. Use one form; dates without a time zone are UTC."
        )


def _rounded(
    connection: DuckDBPyConnection, times: list[Times], high: float, ticks: int
) -> list[str]:
    """Return a note for each file whose timestamps are all multiples of a thousand seconds.

    Raises:
        DataError: Nearly all timestamps of a file were rounded by a 32-bit float, whose values are
            128 seconds apart in 2023.
    """
    if high < EXACT["FLOAT"] * ticks:
        return []
    notes = []
    for t in times:
        whole = t.dated or t.table.types[t.column] in WHOLE
        kind = "BIGINT" if whole else "HUGEINT"
        source = f"(SELECT ({t.value})::{kind} AS t FROM {t.table.relation})"
        grids = {(ticks, _spacing(high / ticks)), (1, _spacing(high))}
        for divisor, spacing in grids:
            if spacing * divisor >= LEAST_SPACING * ticks and _on_a_grid(
                connection, source, divisor, spacing, ticks
            ):
                raise DataError(
                    f"{t.table.path}: nearly all timestamps are spaced by multiples of "
                    f"{spacing * divisor / ticks:g} seconds, because a 32-bit float rounded them. "
                    "Histories would contain clicks of later impressions. Export the "
                    "timestamps again as integers."
                )
        step = ROUNDED * ticks
        (coarse,) = one_row(connection, f"SELECT bool_and(t % {step} = 0) FROM {source}")
        if coarse:
            notes.append(
                f"All timestamps of {t.table.path.name} are multiples of {ROUNDED:,} seconds and "
                "appear rounded. Histories exclude clicks of the same timestamp."
            )
    return notes


def _spacing(high: float) -> int:
    """Return the spacing of 32-bit floats just below a number."""
    return 2 ** max(int(high).bit_length() - 24, 0)


def _on_a_grid(
    connection: DuckDBPyConnection, source: str, divisor: int, spacing: int, ticks: int
) -> bool:
    """Return whether nearly all numbers have one remainder modulo the spacing, but not by days."""
    (by_spacing,) = one_row(connection, _most_common(source, f"t // {divisor} % {spacing}"))
    if by_spacing < NEARLY_ALL:
        return False
    (distinct,) = one_row(connection, f"SELECT count(DISTINCT t) FROM {source}")
    (by_days,) = one_row(connection, _most_common(source, f"t % {DAY * ticks}"))
    return distinct >= ENOUGH and by_days < NEARLY_ALL


def _most_common(source: str, value: str) -> str:
    """Return SQL for the share of rows that have the most common value."""
    return f"SELECT max(n) / sum(n) FROM (SELECT count(*) AS n FROM {source} GROUP BY {value})"


def _unit(value: float) -> str:
    return next((unit for unit, bound in UNITS if value < bound), "nanoseconds")
