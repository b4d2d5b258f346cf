"""Read CSV and Parquet files as tables of a database, and say which lines are wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.datasets._text_files import (
    SEPARATORS,
    Dialect,
    TextFile,
    open_bare,
    open_text,
    pattern,
)
from ctrbench.errors import DataError
from ctrbench.impressions.database import column_types, first_line, literal, one_row, quoted
from ctrbench.raw_ids import INTEGERS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EXAMPLES = 5  # wrong lines named in a message
LARGEST = 3.4e38  # what a float of 32 bits holds
FLOATS = ("HALF", "FLOAT", "DOUBLE")


@dataclass(frozen=True)
class Table:
    """One file as a relation; the types of a CSV file's columns are all VARCHAR."""

    path: Path
    relation: str
    types: dict[str, str]  # column -> DuckDB's type
    rows: int
    text_file: TextFile | None = None  # None: Parquet, whose columns have types

    @property
    def is_text(self) -> bool:
        """Whether the file's columns come without types."""
        return self.text_file is not None

    def place(self, row: int) -> str:
        """What a person calls the row-th row, counted from 1.

        A line of a text file, unless values hold line ends or lines are empty.
        """
        header = 1 if self.text_file and self.text_file.has_header else 0
        if self.text_file is None or self.text_file.lines != self.rows + header:
            return f"row {row}"
        return f"line {row + header}"


@dataclass(frozen=True)
class Rule:
    """What no row may do."""

    column: str
    wrong: str  # SQL condition
    told: str  # continues "3 values of 'click' ..."
    cure: str = ""  # what to do


def read_table(
    connection: DuckDBPyConnection,
    path: Path,
    columns: list[str] | None = None,
    dialect: Dialect | None = None,
) -> Table:
    """Open a CSV, TSV (also .gz) or Parquet file; it may hold no rows.

    Args:
        connection: the table is made in this database.
        path: the file; its ending says what it is, unless `columns` are given.
        columns: of a text file without a header and without quotes.
        dialect: separator and encoding of text files, as the user says.

    Raises:
        DataError: the file is missing, empty, damaged, ragged, or of another kind.
    """
    import duckdb

    check_file(path)
    dialect = dialect or Dialect()
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    kind = suffixes[-1] if suffixes else ""
    name = quoted(f"file {path} {len(connection.execute('SHOW TABLES').fetchall())}")
    text_file = None
    try:
        if columns is not None:
            text_file = open_bare(connection, path, columns, dialect)
        elif kind in SEPARATORS:
            text_file = open_text(connection, path, kind, dialect)
        elif kind != ".parquet":
            raise DataError(f"{path}: cannot read {kind or 'a file without an ending'}; {_KINDS}")
        made = "TABLE" if text_file else "VIEW"
        source = text_file.select() if text_file else _parquet(path)
        connection.execute(f"CREATE {made} {name} AS {source}")
        types = _types(connection, name, path, text_file)
        (rows,) = one_row(connection, f"SELECT count(*) FROM {name}")
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.InvalidInputException, duckdb.IOException, duckdb.ConversionException) as error:
        if "No space left" in str(error):
            raise
        raise DataError(f"{path} is damaged or no {kind[1:]} file: {_told(error)}") from error
    return Table(path, name, types, rows, text_file)


def refuse_empty(table: Table) -> Table:
    """The table, if it holds rows.

    Raises:
        DataError: it holds none.
    """
    if not table.rows:
        raise DataError(f"{table.path} holds no rows.")
    return table


def renamed(connection: DuckDBPyConnection, table: Table, names: dict[str, str]) -> Table:
    """The table with the columns of `names` (old: new) only, under their new names."""
    view = quoted(f"renamed {table.relation}")
    chosen = ", ".join(f"{quoted(old)} AS {quoted(new)}" for old, new in names.items())
    connection.execute(f"CREATE VIEW {view} AS SELECT {chosen} FROM {table.relation}")
    return replace(
        table, relation=view, types={new: table.types[old] for old, new in names.items()}
    )


def with_values(
    connection: DuckDBPyConnection, table: Table, values: dict[str, str | None]
) -> Table:
    """The table with more columns of text, each of one value."""
    view = quoted(f"more {table.relation}")
    chosen = ", ".join(
        f"{'NULL' if value is None else literal(value)}::VARCHAR AS {quoted(name)}"
        for name, value in values.items()
    )
    connection.execute(f"CREATE VIEW {view} AS SELECT *, {chosen} FROM {table.relation}")
    return replace(table, relation=view, types=table.types | dict.fromkeys(values, "VARCHAR"))


def filtered(connection: DuckDBPyConnection, table: Table, condition: str) -> Table:
    """The table with the rows only that a condition holds for."""
    view = quoted(f"filtered {table.relation}")
    connection.execute(f"CREATE VIEW {view} AS SELECT * FROM {table.relation} WHERE {condition}")
    (rows,) = one_row(connection, f"SELECT count(*) FROM {view}")
    return replace(table, relation=view, rows=rows)


def missing_columns(table: Table, needed: Iterable[str]) -> list[str]:
    """A problem for each column that is not there, with the nearest one that is."""
    problems = []
    for column in needed:
        if column not in table.types:
            lowered = {name.lower(): name for name in table.types}
            near = get_close_matches(column, lowered, n=1, cutoff=0.5)
            name = lowered[near[0]] if near else ""
            hint = f" Did you mean '{name}'? --rename {name}={column}" if near else ""
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
            cure = f"; {rule.cure}" if rule.cure else ""
            problems.append(f"{told}: {_examples(connection, table, rule)}{cure}")
    return problems


def missing(table: Table, column: str) -> Rule:
    """No row may lack this column's value."""
    whole = table.types[column] in INTEGERS
    value = quoted(column) if whole else text(table, column)
    return Rule(column, f"{value} IS NULL", "missing")


def text(table: Table, column: str) -> str:
    """SQL for a value as text, as a person would write it: 7 for 7.0; the empty text is NULL."""
    name = quoted(column)
    if table.types[column] in FLOATS:
        whole = f"abs({name}) < 1e38 AND {name} = floor({name})"
        return f"""CASE WHEN {whole} THEN TRY_CAST({name} AS HUGEINT)::VARCHAR
            WHEN NOT isnan({name}) THEN {name}::VARCHAR END"""
    if table.types[column].startswith("DECIMAL"):
        return f"CASE WHEN {name} % 1 = 0 THEN {name}::HUGEINT ELSE {name} END::VARCHAR"
    return f"nullif({name}::VARCHAR, '')"


def number(table: Table, column: str) -> str:
    """SQL for a value as DOUBLE; NULL where it is missing, not a number, or not finite."""
    value = f"TRY_CAST({quoted(column)} AS DOUBLE)"
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def not_a_number(table: Table, column: str) -> Rule:
    """A value that is there must be a finite number of 32 bits; NaN stands for a missing one."""
    value = f"TRY_CAST({quoted(column)} AS DOUBLE)"
    large = f"NOT isnan({value}) AND abs({value}) > {LARGEST}"
    if table.types[column] in FLOATS:
        return Rule(column, large, "are no finite numbers of 32 bits")
    wrong = f"{text(table, column)} IS NOT NULL AND ({value} IS NULL OR {large})"
    return Rule(column, wrong, "are no finite numbers of 32 bits")


_KINDS = "use .csv, .tsv (also .gz) or .parquet."


def check_file(path: Path) -> None:
    if not path.exists():
        near = get_close_matches(path.name, [p.name for p in path.parent.glob("*")], n=1)
        hint = f" Did you mean {path.with_name(near[0])}?" if near else ""
        raise DataError(f"no file {path}.{hint}")
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise DataError(f"{path} is {what}; a file is needed.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.")


def _parquet(path: Path) -> str:
    return f"FROM read_parquet({pattern(path)}, hive_partitioning = false)"


def _types(
    connection: DuckDBPyConnection, name: str, path: Path, text_file: TextFile | None
) -> dict[str, str]:
    """The type of each column; half floats by their own name, because they hold fewer numbers."""
    types = column_types(connection, name)
    if text_file is None and "FLOAT" in types.values():
        query = f"SELECT name FROM parquet_schema({pattern(path)}) WHERE type_length = '2'"
        halves = {column for (column,) in connection.execute(query).fetchall()}
        types |= {column: "HALF" for column in types if column in halves}
    return types


def _told(error: Exception) -> str:
    """The lines of DuckDB's message that tell what is wrong, without its advice."""
    lines = re.sub(r"^([A-Z]\w* )+Error: ", "", str(error)).splitlines()
    advice = "Possible", "*", " ", "LINE"
    told = [line for line in lines[:4] if line and not line.startswith(advice)]
    return "; ".join([*told[:3]]) or first_line(error)


def _examples(connection: DuckDBPyConnection, table: Table, rule: Rule) -> str:
    row, value = (_free(name, table) for name in ("row", "value"))
    rows = connection.execute(
        f"""SELECT {row}, {value} FROM (
            SELECT *, row_number() OVER () AS {row}, {text(table, rule.column)} AS {value}
            FROM {table.relation})
        WHERE {rule.wrong} ORDER BY {row} LIMIT {EXAMPLES}"""
    ).fetchall()
    return ", ".join(
        table.place(row) + (f" ({value})" if value is not None else "") for row, value in rows
    )


def _free(name: str, table: Table) -> str:
    """A name, as an identifier, that no column of the table has."""
    taken = {column.lower() for column in table.types}
    while name in taken:
        name = f"_{name}"
    return quoted(name)
