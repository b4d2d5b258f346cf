"""Read files as tables of a database, and report lines with invalid values."""

from __future__ import annotations

import re
import zlib
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING

from ctrbench.datasets._text_files import (
    SEPARATORS,
    Dialect,
    TextFile,
    kind_of,
    open_bare,
    open_text,
    pattern,
)
from ctrbench.datasets._typed_files import ARROW, JSON, fill_from_arrow, json_query
from ctrbench.errors import DataError, raise_all, shortened
from ctrbench.importing.relations import (
    column_types,
    first_line,
    is_of_machine,
    literal,
    make_room,
    one_row,
    quoted,
)
from ctrbench.raw_ids import INTEGERS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EXAMPLES = 5  # wrong lines named in a message
LARGEST = 3.4e38  # largest 32-bit float
FLOATS = ("HALF", "FLOAT", "DOUBLE")


class RemotePath(PosixPath):
    """The URL of a remote file, for messages."""

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)


@dataclass(frozen=True)
class Table:
    """One file as a relation; the types of a CSV file's columns are all VARCHAR."""

    path: Path  # of a remote file: its URL
    relation: str
    types: dict[str, str]  # column -> DuckDB type
    rows: int
    text_file: TextFile | None = None  # None for Parquet, JSON, Arrow and ORC: typed columns

    @property
    def is_text(self) -> bool:
        """Whether the file's columns are untyped."""
        return self.text_file is not None

    def place(self, row: int) -> str:
        """Return the place of a row, counted from 1, for a message.

        The place is a line of a text file, unless values contain line breaks or lines are empty.
        """
        header = 1 if self.text_file and self.text_file.has_header else 0
        if self.text_file is None or self.text_file.lines != self.rows + header:
            return f"row {row}"
        return f"line {row + header}"


@dataclass(frozen=True)
class Rule:
    """A condition that no row may meet."""

    column: str
    wrong: str  # SQL condition of an invalid row
    problem: str  # predicate of "3 value(s) of 'click' ..."
    cure: str = ""  # what to do


def read_table(
    connection: DuckDBPyConnection,
    path: Path,
    columns: list[str] | None = None,
    dialect: Dialect | None = None,
    keep: Container[str] | None = None,
) -> Table:
    """Open a file of any supported format, which may have no rows.

    Args:
        connection: The database in which the table is created.
        path: The file. Its extension determines the format unless `columns` are given.
        columns: Column names of a text file without a header and without quotes.
        dialect: Separator and encoding of text files.
        keep: The columns of a text file that are stored; None: all.

    Raises:
        DataError: The file is missing, empty, damaged, ragged, or of another format.
    """
    import duckdb
    import pyarrow as pa

    check_file(path)
    dialect = dialect or Dialect()
    kind = kind_of(path)
    name = quoted(f"file {path} {len(connection.execute('SHOW TABLES').fetchall())}")
    text_file, halves = None, set[str]()
    try:
        if columns is not None:
            text_file = open_bare(connection, path, columns, dialect)
        elif kind in SEPARATORS:
            text_file = open_text(connection, path, kind, dialect)
        if text_file:
            connection.execute(f"CREATE TABLE {name} AS {text_file.select(keep)}")
        elif kind in JSON:
            query = json_query(connection, path, kind, dialect.encoding)
            connection.execute(f"CREATE TABLE {name} AS {query}")
        elif kind in ARROW:
            halves = fill_from_arrow(connection, name, path)
        elif kind == ".parquet":
            connection.execute(f"CREATE VIEW {name} AS {_parquet(path)}")
            make_room(connection, pattern(path))
            halves = _halves_of_parquet(connection, path)
        else:
            raise DataError(
                f"{path}: cannot read {kind or 'a file without an extension'}. {_KINDS}"
            )
        types = column_types(connection, name)
        types |= {column: "HALF" for column in types if column in halves}
        (rows,) = one_row(connection, f"SELECT count(*) FROM {name}")
    except duckdb.Error as error:  # the class of errors about damaged files varies
        if is_of_machine(error) or "No space left" in str(error):
            raise
        raise DataError(f"{path} is damaged or no {kind[1:]} file: {_cause(error)}") from error
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the operating system, not of the file
        raise DataError(f"{path} is damaged or no {kind[1:]} file: {_cause(error)}") from error
    return Table(path, name, types, rows, text_file)


def united(connection: DuckDBPyConnection, tables: list[Table], path: Path) -> Table:
    """Return the rows of several files with the same columns as one table.

    Args:
        connection: The database of the tables.
        tables: The tables, at least one.
        path: Where the files are, for messages.

    Raises:
        DataError: The files have different columns, or columns of different types.
    """
    first = tables[0]
    if len(tables) == 1:
        return first
    problems = [
        f"{table.path} and {first.path} have different columns or types: "
        f"{', '.join(sorted(dict(table.types.items() ^ first.types.items())))}."
        for table in tables[1:]
        if table.types != first.types
    ]
    raise_all(problems, DataError, f"{path} cannot be read as one table:")
    view = quoted(f"united {first.relation}")
    union = " UNION ALL BY NAME ".join(f"FROM {table.relation}" for table in tables)
    connection.execute(f"CREATE VIEW {view} AS {union}")
    rows = sum(table.rows for table in tables)
    return Table(path, view, first.types, rows, first.text_file)


def refuse_empty(table: Table) -> Table:
    """Return the table if it has rows.

    Raises:
        DataError: The table has no rows.
    """
    if not table.rows:
        raise DataError(f"{table.path} has no rows.")
    return table


def renamed(connection: DuckDBPyConnection, table: Table, names: dict[str, str]) -> Table:
    """Return a view of the table with renamed columns; other columns are dropped.

    Args:
        connection: The database of the table.
        table: The table.
        names: New names of the columns to keep, by old name.
    """
    view = quoted(f"renamed {table.relation}")
    chosen = ", ".join(f"{quoted(old)} AS {quoted(new)}" for old, new in names.items())
    connection.execute(f"CREATE VIEW {view} AS SELECT {chosen} FROM {table.relation}")
    return replace(
        table, relation=view, types={new: table.types[old] for old, new in names.items()}
    )


def with_values(
    connection: DuckDBPyConnection, table: Table, values: dict[str, str | None]
) -> Table:
    """Return a view of the table with additional constant text columns.

    Args:
        connection: The database of the table.
        table: The table.
        values: The value of each new column; None for NULL.
    """
    view = quoted(f"more {table.relation}")
    chosen = ", ".join(
        f"{'NULL' if value is None else literal(value)}::VARCHAR AS {quoted(name)}"
        for name, value in values.items()
    )
    connection.execute(f"CREATE VIEW {view} AS SELECT *, {chosen} FROM {table.relation}")
    return replace(table, relation=view, types=table.types | dict.fromkeys(values, "VARCHAR"))


def filtered(connection: DuckDBPyConnection, table: Table, condition: str) -> Table:
    """Return a view of the rows that satisfy a condition.

    Args:
        connection: The database of the table.
        table: The table.
        condition: SQL condition.
    """
    view = quoted(f"filtered {table.relation}")
    connection.execute(f"CREATE VIEW {view} AS SELECT * FROM {table.relation} WHERE {condition}")
    (rows,) = one_row(connection, f"SELECT count(*) FROM {view}")
    return replace(table, relation=view, rows=rows)


def missing_columns(table: Table, needed: Iterable[str]) -> list[str]:
    """Return a problem for each missing column, with the nearest existing name.

    Args:
        table: The table.
        needed: The required columns.
    """
    problems = []
    for column in needed:
        if column not in table.types:
            lowered = {name.lower(): name for name in table.types}
            near = get_close_matches(column, lowered, n=1, cutoff=0.5)
            name = lowered[near[0]] if near else ""
            hint = f" Did you mean '{name}'? --rename {name}={column}" if near else ""
            there = ", ".join(table.types)
            if table.is_text and len(table.types) == 1:
                hint += " If another character separates the columns, name it: --separator."
            problems.append(f"{table.path}: no column '{column}'; the columns are {there}.{hint}")
    return problems


def broken_rules(connection: DuckDBPyConnection, table: Table, rules: list[Rule]) -> list[str]:
    """Return a problem for each broken rule, with its first rows. Reads the file once if none is.

    Args:
        connection: The database of the table.
        table: The table.
        rules: The rules to check.
    """
    counts = ", ".join(f"count(*) FILTER ({rule.wrong})" for rule in rules)
    broken = one_row(connection, f"SELECT {counts} FROM {table.relation}") if rules else ()
    problems = []
    for rule, count in zip(rules, broken, strict=True):
        if count:
            what = f"{table.path}: {count} value(s) of '{rule.column}' {rule.problem}"
            cure = f"; {rule.cure}" if rule.cure else ""
            problems.append(f"{what}: {_examples(connection, table, rule)}{cure}")
    return problems


def missing(table: Table, column: str) -> Rule:
    """Return the rule that no value of the column is missing.

    Args:
        table: The table of the column.
        column: The column.
    """
    whole = table.types[column] in INTEGERS
    value = quoted(column) if whole else text(table, column)
    return Rule(column, f"{value} IS NULL", "are missing")


def text(table: Table, column: str) -> str:
    """Return SQL for a value as text: 7.0 becomes 7, the empty text becomes NULL.

    Args:
        table: The table of the column.
        column: The column.
    """
    name = quoted(column)
    if table.types[column] in FLOATS:
        whole = f"abs({name}) < 1e38 AND {name} = floor({name})"
        return f"""CASE WHEN {whole} THEN TRY_CAST({name} AS HUGEINT)::VARCHAR
            WHEN NOT isnan({name}) THEN {name}::VARCHAR END"""
    if table.types[column].startswith("DECIMAL"):
        return f"CASE WHEN {name} % 1 = 0 THEN {name}::HUGEINT ELSE {name} END::VARCHAR"
    return f"nullif({name}::VARCHAR, '')"


def number(table: Table, column: str) -> str:
    """Return SQL for a value as DOUBLE; NULL if it is missing or not a finite number.

    Args:
        table: The table of the column.
        column: The column.
    """
    value = f"TRY_CAST({quoted(column)} AS DOUBLE)"
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def not_a_number(table: Table, column: str) -> Rule:
    """Return the rule that present values are finite 32-bit numbers; NaN counts as missing.

    Args:
        table: The table of the column.
        column: The column.
    """
    value = f"TRY_CAST({quoted(column)} AS DOUBLE)"
    large = f"NOT isnan({value}) AND abs({value}) > {LARGEST}"
    if table.types[column] in FLOATS:
        return Rule(column, large, "are not finite 32-bit numbers")
    wrong = f"{text(table, column)} IS NOT NULL AND ({value} IS NULL OR {large})"
    return Rule(column, wrong, "are not finite 32-bit numbers")


KINDS = (*SEPARATORS, *JSON, ".parquet", *ARROW)  # extensions without that of a compression
_KINDS = "Use .parquet, .csv, .tsv, .jsonl (also .gz, .zst, .bz2), .arrow, .feather or .orc."


def check_file(path: Path) -> None:
    """Raise an error unless the path is a regular file with content.

    Raises:
        DataError: The path is missing, a folder or a device, or the file is empty.
    """
    if not path.exists():
        near = get_close_matches(path.name, [p.name for p in path.parent.glob("*")], n=1)
        hint = f" Did you mean {path.with_name(near[0])}?" if near else ""
        raise DataError(f"no file {path}.{hint}")
    if not path.is_file():
        what = "a folder" if path.is_dir() else "not a regular file"
        raise DataError(f"{path} is {what}. Give the path of a file.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.")


def _parquet(path: Path) -> str:
    return f"FROM read_parquet({pattern(path)}, hive_partitioning = false)"


def _halves_of_parquet(connection: DuckDBPyConnection, path: Path) -> set[str]:
    """Return the columns of half floats, which DuckDB reports as FLOAT."""
    query = f"SELECT name FROM parquet_schema({pattern(path)}) WHERE type_length = '2'"
    return {column for (column,) in connection.execute(query).fetchall()}


def _cause(error: Exception) -> str:
    """Return the lines of a message that name the cause, without advice and traceback."""
    message = str(error).partition(" Detail: Python exception")[0]
    lines = re.sub(r"^([A-Z]\w* )+Error: ", "", message).splitlines()
    advice = "Possible", "*", " ", "LINE"
    causes = [line for line in lines[:4] if line and not line.startswith(advice)]
    return "; ".join(causes[:3]) or first_line(error)


def _examples(connection: DuckDBPyConnection, table: Table, rule: Rule) -> str:
    row, value = (_free(name, table) for name in ("row", "value"))
    rows = connection.execute(
        f"""SELECT {row}, {value} FROM (
            SELECT *, row_number() OVER () AS {row}, {text(table, rule.column)} AS {value}
            FROM {table.relation})
        WHERE {rule.wrong} ORDER BY {row} LIMIT {EXAMPLES}"""
    ).fetchall()
    return ", ".join(
        table.place(row) + (f" ({shortened(value)})" if value is not None else "")
        for row, value in rows
    )


def _free(name: str, table: Table) -> str:
    """Return an SQL identifier that differs from all columns of the table."""
    taken = {column.lower() for column in table.types}
    while name in taken:
        name = f"_{name}"
    return quoted(name)
