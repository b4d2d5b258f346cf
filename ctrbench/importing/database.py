"""DuckDB for what may be larger than memory: reading files, joins, sorts and window functions."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.atomic import PARTIAL, disk_errors
from ctrbench.errors import DataError, StoreError
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "2GB",
    "threads": 2,
    "autoinstall_known_extensions": False,
}
DISK_FULL = ("No space left", "Disk quota", "max_temp_directory_size", "Could not write")

DAMAGED = ("Failed to read file",)  # found where rows are read, after the file was opened


@contextmanager
def database(workspace: Workspace) -> Iterator[DuckDBPyConnection]:
    """A throw-away database below `cache/`, bounded in memory; what does not fit goes to the disk.

    Raises:
        StoreError: the workspace cannot be written, or the disk is full.
        DataError: a file turned out damaged while its rows were read.
    """
    import duckdb

    with disk_errors(workspace.cache):
        workspace.cache.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=workspace.cache, prefix=PARTIAL))
    try:
        settings = {**SETTINGS, "temp_directory": str(folder / "spill")}
        with duckdb.connect(folder / "import.duckdb", config=settings) as connection:
            connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
            yield connection
    except duckdb.Error as error:
        if any(sign in str(error) for sign in DAMAGED):
            raise DataError(f"{first_line(error)}: the file is damaged; copy it again.") from error
        if not any(sign in str(error) for sign in DISK_FULL):
            raise
        raise StoreError(
            f"cannot work in {workspace.cache}: {first_line(error)}. Free some space or choose "
            "another --home; nothing was changed."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            workspace.cache.rmdir()  # only if nothing else stands there


def column_types(connection: DuckDBPyConnection, relation: str) -> dict[str, str]:
    """DuckDB's type of each column of a table, a view or a table function."""
    rows = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    return {name: kind for name, kind, *_ in rows}


def has_view(connection: DuckDBPyConnection, name: str) -> bool:
    """Whether a table or a view of this name exists."""
    query = "SELECT count(*) FROM information_schema.tables WHERE table_name = ?"
    return scalar(connection, query, [name]) > 0


def scalar(connection: DuckDBPyConnection, query: str, parameters: list[object] | None = None):
    """The single value of a query of one row and one column."""
    return one_row(connection, query, parameters)[0]


def one_row(
    connection: DuckDBPyConnection, query: str, parameters: list[object] | None = None
) -> tuple:
    """The single row of a query."""
    row = connection.execute(query, parameters or []).fetchone()
    return row if row is not None else ()


def quoted(name: str) -> str:
    """A name as an SQL identifier.

    >>> quoted('price (EUR)')
    '"price (EUR)"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: object) -> str:
    """A text as an SQL string.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + str(text).replace("'", "''") + "'"


def first_line(error: Exception) -> str:
    """The part of a DuckDB message that says what happened, without its advice."""
    return re.sub(r"^([A-Z]\w* )+Error: ", "", str(error)).splitlines()[0].rstrip(".")
