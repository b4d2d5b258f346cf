"""Read CSV and Parquet files as tables of a database, and say which lines are wrong."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.errors import DataError
from ctrbench.impressions.database import column_types, first_line, literal, one_row, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SEPARATORS = {".csv": ",", ".tsv": "\t"}
EXAMPLES = 5  # wrong lines named in a message
FLOATS = ("FLOAT", "DOUBLE")
WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")


@dataclass(frozen=True)
class Table:
    """One file as a relation; the types of a CSV file's columns are all VARCHAR."""

    path: Path
    relation: str
    types: dict[str, str]  # column -> DuckDB's type
    first: int | None  # the line on which a text file's rows begin; None: Parquet, which has rows

    @property
    def is_text(self) -> bool:
        """Whether the file's columns come without types."""
        return self.first is not None

    def place(self, row: int) -> str:
        """What a person calls the row-th row, counted from 1."""
        return f"row {row}" if self.first is None else f"line {row + self.first - 1}"


@dataclass(frozen=True)
class Rule:
    """What no row may do."""

    column: str
    wrong: str  # SQL condition
    told: str  # continues "3 values of 'click' ..."


def read_table(
    connection: DuckDBPyConnection,
    path: Path,
    columns: list[str] | None = None,
    separator: str | None = None,
    encoding: str = "utf-8",
) -> Table:
    """Open a CSV, TSV (also .gz) or Parquet file.

    Args:
        connection: the table is made in this database.
        path: the file; its ending says what it is, unless `columns` are given.
        columns: of a text file without a header and without quotes.
        separator: of such a file.
        encoding: of a text file.

    Raises:
        DataError: the file is missing, empty, damaged, ragged, or of another kind.
    """
    import duckdb

    _check_file(path)
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    kind = suffixes[-1] if suffixes else ""
    name = quoted(f"file {path} {len(connection.execute('SHOW TABLES').fetchall())}")
    try:
        if columns is not None:
            source = _text_source(path, columns, separator or ",", encoding, header=False)
        elif kind in SEPARATORS:
            header = _header(path, SEPARATORS[kind])
            source = _text_source(path, header, SEPARATORS[kind], encoding, header=True)
        elif kind == ".parquet":
            source = f"read_parquet({_pattern(path)})"
        else:
            raise DataError(f"{path}: cannot read {kind or 'a file without an ending'}; {_KINDS}")
        made = "VIEW" if source.startswith("read_parquet") else "TABLE"
        connection.execute(f"CREATE {made} {name} AS SELECT * FROM {source}")
        table = Table(path, name, column_types(connection, name), _first(columns, made))
        (rows,) = one_row(connection, f"SELECT count(*) FROM {name}")
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.InvalidInputException, duckdb.IOException, duckdb.ConversionException) as error:
        if "No space left" in str(error):
            raise
        raise DataError(f"{path} is damaged or no {kind[1:]} file: {_told(error)}") from error
    if not rows:
        raise DataError(f"{path} holds no rows.")
    return table


def renamed(connection: DuckDBPyConnection, table: Table, names: dict[str, str]) -> Table:
    """The table with the columns of `names` (old: new) only, under their new names."""
    view = quoted(f"renamed {table.relation}")
    chosen = ", ".join(f"{quoted(old)} AS {quoted(new)}" for old, new in names.items())
    connection.execute(f"CREATE VIEW {view} AS SELECT {chosen} FROM {table.relation}")
    return replace(
        table, relation=view, types={new: table.types[old] for old, new in names.items()}
    )


def missing_columns(table: Table, needed: Iterable[str]) -> list[str]:
    """A problem for each column that is not there, with the nearest one that is."""
    problems = []
    for column in needed:
        if column not in table.types:
            near = get_close_matches(column, table.types, n=1, cutoff=0.5)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            there = ", ".join(table.types)
            problems.append(f"{table.path}: no column '{column}'; there is {there}.{hint}")
    return problems


def broken_rules(connection: DuckDBPyConnection, table: Table, rules: list[Rule]) -> list[str]:
    """A problem for each rule that rows break, with the first few of them; reads the file once."""
    counts = ", ".join(f"count(*) FILTER ({rule.wrong})" for rule in rules)
    broken = one_row(connection, f"SELECT {counts} FROM {table.relation}") if rules else ()
    problems = []
    for rule, count in zip(rules, broken, strict=True):
        if count:
            values = "value" if count == 1 else "values"
            told = f"{table.path}: {count} {values} of '{rule.column}' {rule.told}"
            problems.append(f"{told}: {_examples(connection, table, rule)}")
    return problems


def missing(table: Table, column: str) -> Rule:
    """No row may lack this column's value."""
    whole = table.types[column] in WHOLE
    value = quoted(column) if whole else text(table, column)
    return Rule(column, f"{value} IS NULL", "missing")


def whole_ids(connection: DuckDBPyConnection, tables: Iterable[Table], column: str) -> bool:
    """Whether ids are whole numbers from 0 in every table that has them, which joins faster."""
    there = [table for table in tables if column in table.types]
    return all(
        table.types[column] in WHOLE
        and (one_row(connection, f"SELECT min({quoted(column)}) FROM {table.relation}")[0] or 0)
        >= 0
        for table in there
    )


def id_value(table: Table, column: str, whole: bool) -> str:
    """SQL for an id: a number where all are whole numbers, else text."""
    return f"{quoted(column)}::BIGINT" if whole else text(table, column)


def text(table: Table, column: str) -> str:
    """SQL for a value as text, as a person would write it: 7 for 7.0; the empty text is NULL."""
    name = quoted(column)
    if table.types[column] in FLOATS:
        whole = f"isfinite({name}) AND {name} = floor({name})"
        return f"""CASE WHEN {whole} THEN {name}::HUGEINT::VARCHAR
            WHEN NOT isnan({name}) THEN {name}::VARCHAR END"""
    return f"nullif({name}::VARCHAR, '')"


def number(table: Table, column: str) -> str:
    """SQL for a value as DOUBLE; NULL where it is missing, not a number, or not finite."""
    value = f"TRY_CAST({quoted(column)} AS DOUBLE)"
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def not_a_number(table: Table, column: str) -> Rule:
    """A value that is there must be a finite number; NaN stands for a missing one."""
    value = f"TRY_CAST({quoted(column)} AS DOUBLE)"
    if table.types[column] in FLOATS:
        return Rule(column, f"isinf({quoted(column)})", "are no finite numbers")
    wrong = f"{text(table, column)} IS NOT NULL AND ({value} IS NULL OR isinf({value}))"
    return Rule(column, wrong, "are no finite numbers")


_KINDS = "use .csv, .tsv (also .gz) or .parquet."


def _check_file(path: Path) -> None:
    if not path.exists():
        near = get_close_matches(path.name, [p.name for p in path.parent.glob("*")], n=1)
        hint = f" Did you mean {path.with_name(near[0])}?" if near else ""
        raise DataError(f"no file {path}.{hint}")
    if not path.is_file():
        raise DataError(f"{path} is a folder; a file is needed.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.")


def _header(path: Path, separator: str) -> list[str]:
    """The column names of a text file's first line."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            columns = next(csv.reader(file, delimiter=separator), [])
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is damaged or no text file in UTF-8: {error}") from error
    lowered = [column.lower() for column in columns]
    twice = sorted({column for column in lowered if lowered.count(column) > 1})
    if "" in columns or twice:
        wrong = "a column has no name" if "" in columns else f"{', '.join(twice)} stand twice"
        raise DataError(f"{path}: the first line must name every column once; {wrong}.")
    return columns


def _text_source(
    path: Path, columns: list[str], separator: str, encoding: str, *, header: bool
) -> str:
    """SQL that reads a text file's columns as VARCHAR, guessing nothing."""
    types = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in columns)
    quote = literal('"' if header else "")
    return (
        f"read_csv({_pattern(path)}, auto_detect = false, header = {str(header).lower()}, "
        f"delim = {literal(separator)}, quote = {quote}, escape = {quote}, "
        f"encoding = {literal(encoding)}, columns = {{{types}}})"
    )


def _pattern(path: Path) -> str:
    """The path as an SQL string in which nothing is a wildcard."""
    return literal("".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path)))


def _first(columns: list[str] | None, made: str) -> int | None:
    if made == "VIEW":
        return None
    return 1 if columns is not None else 2


def _told(error: Exception) -> str:
    """The lines of DuckDB's message that tell what is wrong, without its advice."""
    lines = re.sub(r"^([A-Z]\w* )+Error: ", "", str(error)).splitlines()
    advice = "Possible", "*", " ", "LINE"
    told = [line for line in lines[:4] if line and not line.startswith(advice)]
    return "; ".join([*told[:3]]) or first_line(error)


def _examples(connection: DuckDBPyConnection, table: Table, rule: Rule) -> str:
    rows = connection.execute(
        f"""SELECT _row, _value FROM (
            SELECT *, row_number() OVER () AS _row, {text(table, rule.column)} AS _value
            FROM {table.relation})
        WHERE {rule.wrong} ORDER BY _row LIMIT {EXAMPLES}"""
    ).fetchall()
    return ", ".join(
        table.place(row) + (f" ({value})" if value is not None else "") for row, value in rows
    )
