"""What importers of public Parquet files share: columns, types of lists, converted vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.datasets._tables import Table
from ctrbench.errors import DataError, raise_all
from ctrbench.importing.relations import literal, one_row

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def require_columns(path: Path, found: Iterable[str], columns: Iterable[str]) -> None:
    """Raise an error that prints both headers if a column is missing. Others are ignored.

    Args:
        path: The file, for the message.
        found: The columns of the file.
        columns: The required columns.

    Raises:
        DataError: A column is missing.
    """
    found, columns = list(found), list(columns)
    absent = [name for name in columns if name not in found]
    if absent:
        raise other_header(path, f"lacks {', '.join(absent)}", found, ", ".join(columns))


def other_header(path: Path, wrong: str, found: Iterable[str], expected: str) -> DataError:
    """Return the error about a header that differs from the official one; prints both.

    Args:
        path: The file.
        wrong: The difference, as a predicate of "the header".
        found: The columns of the file.
        expected: The official columns.
    """
    return DataError(
        f"{path}: the header {wrong}.\n  found:    {', '.join(found)}\n  expected: {expected}\n"
        "Use the official file. For files of other columns use `ctrbench datasets import table`."
    )


def require_types(table: Table, expected: Mapping[str, tuple[str, ...]]) -> None:
    """Raise an error if a column has another type than the official one.

    Args:
        table: The table.
        expected: DuckDB types, or their beginnings, by column; `[]` after one is a list.

    Raises:
        DataError: A column has another type.
    """
    raise_all(
        [
            f"'{column}' has type {table.types[column]}, expected {' or '.join(kinds)}."
            for column, kinds in expected.items()
            if not any(_is(table.types[column], kind) for kind in kinds)
        ],
        DataError,
        f"{table.path} is not the official file:",
    )


def _is(found: str, kind: str) -> bool:
    if kind.endswith("[]"):  # lists of a fixed length as well
        return found.endswith("]") and found.startswith(kind.removesuffix("[]"))
    return found.startswith(kind) and not found.endswith("]")


def write_vectors(connection: DuckDBPyConnection, name: str, query: str) -> Path:
    """Return a Parquet file of vectors, which exists until the import ends.

    Args:
        connection: The database of the import.
        name: The name of the file, without its extension.
        query: SQL of the columns `item_id` and `vector`.
    """
    (place,) = one_row(connection, "SELECT path FROM duckdb_databases() WHERE NOT internal")
    path = Path(place).parent / f"{name}.parquet"
    connection.execute(f"COPY ({query}) TO {literal(path)} (FORMAT parquet)")
    return path
