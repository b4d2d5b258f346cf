"""DuckDB databases of imports, and the tables and views that their steps exchange.

DuckDB reads files, joins, sorts and computes window functions over logs larger than memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from ctrbench import errors
from ctrbench.arrays import ahead
from ctrbench.atomic import disk_errors, partial_folder, sweep
from ctrbench.errors import DataError, StoreError
from ctrbench.locks import check_locks
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

THREADS = 2
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": THREADS,
    "autoinstall_known_extensions": False,
}
QUERY_BYTES = 2_000_000_000  # memory of queries, unless row groups of a Parquet file are large
GROUP_SHARE = 4  # row groups may take a quarter of it
LARGEST = "largest_row_group"  # variable of the database: bytes of the largest one of its files
NO_MEMORY = "64MB"  # a limit that removes all pages from memory
DISK_FULL = ("No space left", "Disk quota", "max_temp_directory_size", "Could not write")

# These errors occur while rows are read, of files that are no longer there as well.
DAMAGED = ("Failed to read file", "Invalid string encoding found in Parquet", "Could not read eno")
PART = 1 << 20  # rows held in memory at a time


@contextmanager
def database(workspace: Workspace) -> Iterator[DuckDBPyConnection]:
    """Open a temporary database below `cache/`; what exceeds its memory limit spills to disk.

    What killed commands left in the workspace is deleted first.

    Raises:
        StoreError: The workspace cannot be written, its file system has no locks, or the disk is
            full.
        DataError: A file is damaged, or queries exceed their memory limit.
    """
    import duckdb

    sweep(workspace.data, workspace.embeddings, workspace.cache)
    check_locks(workspace.cache)
    stack = ExitStack()
    with disk_errors(workspace.cache):
        workspace.cache.mkdir(parents=True, exist_ok=True)
        folder = stack.enter_context(partial_folder(workspace.cache))
    try:
        settings = {**SETTINGS, "temp_directory": str(folder / "spill")}
        settings["memory_limit"] = f"{QUERY_BYTES}B"
        with duckdb.connect(folder / "import.duckdb", config=settings) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            if one_row(connection, "SELECT current_setting('enable_progress_bar')")[0]:
                # in a notebook without ipywidgets it is off, and setting it is an error
                connection.execute("SET enable_progress_bar = false")
            with damage_named(connection):
                yield connection
    except duckdb.OutOfMemoryException as error:
        raise DataError(
            f"queries exceed their memory limit ({first_line(error)}). Write the "
            "files with smaller parts: Parquet with row groups of 100,000 rows or fewer, or one "
            "file per day. If that does not help, please report it."
        ) from error
    except duckdb.Error as error:
        if not any(sign in str(error) for sign in DISK_FULL):
            raise
        raise StoreError(
            f"cannot work in {workspace.cache}: {first_line(error)}. Free some space or choose "
            "another --home; nothing was changed."
        ) from error
    finally:
        stack.close()
        with suppress(OSError):
            workspace.cache.rmdir()  # only if it is empty


@contextmanager
def damage_named(connection: DuckDBPyConnection) -> Iterator[None]:
    """Name the damaged file if rows of a Parquet file cannot be read.

    Args:
        connection: The database, whose views read the file.

    Raises:
        DataError: A file is damaged.
    """
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        if is_of_machine(error) or any(sign in str(error) for sign in DISK_FULL):
            raise
        path = _damaged_file(connection)
        if path is not None:
            cause = first_line(error).removeprefix(f'Failed to read file "{path}": ')
            raise DataError(f"{path} is damaged: {cause}. Copy it again.") from error
        if not any(sign in str(error) for sign in DAMAGED):
            raise
        raise DataError(f"{first_line(error)}: the file is damaged; copy it again.") from error


def is_of_machine(error: Exception) -> bool:
    """Return whether an error of DuckDB is about memory or a stop of the user, not about a file."""
    import duckdb

    return isinstance(error, duckdb.OutOfMemoryException | duckdb.InterruptException)


def _damaged_file(connection: DuckDBPyConnection) -> str | None:
    """Return the path of the first Parquet file of a view whose rows cannot be read."""
    import duckdb

    views = "SELECT sql FROM duckdb_views() WHERE NOT internal AND contains(sql, 'read_parquet(')"
    for (query,) in connection.execute(views).fetchall():
        for path in re.findall(r"read_parquet\('((?:[^']|'')*)'", query):
            try:
                read = f"SELECT sum(hash(COLUMNS(*))::HUGEINT) FROM read_parquet('{path}')"
                connection.execute(read).fetchall()
            except duckdb.Error:
                return re.sub(r"\[([*?[])\]", r"\1", path.replace("''", "'"))
    return None


@dataclass(frozen=True)
class Relation:
    """A table or view of an import's database. Steps take and return these, never bare names."""

    connection: DuckDBPyConnection = field(repr=False)
    name: str  # as an SQL identifier; unique, so that only holders of the relation can read it
    columns: Mapping[str, str]  # name -> DuckDB's type
    is_table: bool  # rows are stored, and have a `rowid`; the query of a view runs at each read

    def __str__(self) -> str:
        return self.name

    def one_row(self, chosen: str, where: str = "true") -> tuple:
        """Return the single row of an aggregate query over the relation.

        Args:
            chosen: SQL of the aggregates.
            where: SQL of the condition on rows.
        """
        return one_row(self.connection, f"SELECT {chosen} FROM {self} WHERE {where}")

    def parts(self, chosen: str) -> Iterator[tuple[np.ndarray, ...]]:
        """Yield columns in the relation's order, a bounded number of rows at a time.

        The rows are read through a separate cursor, so that the caller may write in the meantime.

        Args:
            chosen: SQL of the columns.

        Yields:
            One (n,) array per column.
        """
        found = self.connection.cursor().sql(f"SELECT {chosen} FROM {self}")
        for batch in found.to_arrow_reader(PART):
            yield tuple(column.to_numpy(zero_copy_only=False) for column in batch.columns)

    def drop(self) -> None:
        """Delete the table and free its space."""
        self.connection.execute(f"DROP TABLE {self}")


def release_memory(connection: DuckDBPyConnection) -> None:
    """Remove the pages of all tables from memory; they stay in the database's file."""
    connection.execute(f"SET memory_limit = '{NO_MEMORY}'")
    _limit_memory(connection)


def make_room(connection: DuckDBPyConnection, path: str) -> None:
    """Raise the memory limit if row groups of a Parquet file take a large part of it.

    Each thread of DuckDB reads the columns of a whole row group into memory.

    Args:
        connection: The database.
        path: SQL of the path, or of a pattern.
    """
    sizes = f"""SELECT sum(total_compressed_size) AS size FROM parquet_metadata({path})
        GROUP BY file_name, row_group_id"""
    (largest, known) = one_row(
        connection, f"SELECT max(size)::BIGINT, getvariable('{LARGEST}') FROM ({sizes})"
    )
    if (largest or 0) > (known or 0):
        connection.execute(f"SET VARIABLE {LARGEST} = {largest}::BIGINT")
        _limit_memory(connection)


def _limit_memory(connection: DuckDBPyConnection) -> None:
    (largest,) = one_row(connection, f"SELECT coalesce(getvariable('{LARGEST}'), 0)")
    more = max(0, THREADS * largest - QUERY_BYTES // GROUP_SHARE)
    connection.execute(f"SET memory_limit = '{QUERY_BYTES + more}B'")


def make_table(connection: DuckDBPyConnection, name: str, query: str) -> Relation:
    """Return a new table that holds the rows of a query.

    Args:
        connection: The database.
        name: The content of the table, in one or two words.
        query: SQL of the rows.
    """
    return _make(connection, "TABLE", name, query)


def make_view(connection: DuckDBPyConnection, name: str, query: str) -> Relation:
    """Return a new view, whose query runs each time that the view is read.

    Args:
        connection: The database.
        name: The content of the view, in one or two words.
        query: SQL of the rows.
    """
    return _make(connection, "VIEW", name, query)


def fill_table(
    connection: DuckDBPyConnection,
    name: str,
    columns: Mapping[str, str],
    parts: Iterable[Sequence[Any]],
) -> Relation:
    """Return a new table filled part by part.

    Args:
        connection: The database.
        name: The content of the table, in one or two words.
        columns: Name -> DuckDB's type.
        parts: For each part one (n,) array per column, of numpy or pyarrow.
    """
    import pyarrow as pa

    listed = ", ".join(f"{quoted(column)} {kind}" for column, kind in columns.items())
    unique = _unique(name)
    connection.execute(f"CREATE TABLE {unique} ({listed})")
    for arrays in ahead(parts):
        connection.register("part", pa.table([*arrays], names=[*columns]))
        connection.execute(f"INSERT INTO {unique} FROM part")
        connection.unregister("part")
    return Relation(connection, unique, column_types(connection, unique), is_table=True)


def _make(connection: DuckDBPyConnection, kind: str, name: str, query: str) -> Relation:
    unique = _unique(name)
    connection.execute(f"CREATE {kind} {unique} AS {query}")
    return Relation(connection, unique, column_types(connection, unique), kind == "TABLE")


def _unique(name: str) -> str:
    return quoted(f"{name} {uuid4().hex}")


def column_types(connection: DuckDBPyConnection, relation: str) -> dict[str, str]:
    """Return DuckDB's type of each column of a table, a view or a table function.

    Args:
        connection: The database.
        relation: SQL of the table, view or table function.
    """
    rows = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    return {name: kind for name, kind, *_ in rows}


def one_row(connection: DuckDBPyConnection, query: str) -> tuple:
    """Return the single row of a query.

    Args:
        connection: The database.
        query: SQL that selects one row.
    """
    rows = connection.execute(query).fetchall()  # a result with rows left blocks `register`
    return rows[0] if rows else ()


def quoted(name: str) -> str:
    """Return a name as an SQL identifier.

    >>> quoted('price (EUR)')
    '"price (EUR)"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: object) -> str:
    """Return a text as an SQL string.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + str(text).replace("'", "''") + "'"


def first_line(error: Exception) -> str:
    """Return the cause in a DuckDB message, without its advice."""
    return errors.first_line(re.sub(r"^([A-Z]\w* )+Error: ", "", str(error))).rstrip(".")
