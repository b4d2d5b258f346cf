"""Tables of users or items, one row per id."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.errors import DataError
from ctrbench.importing.database import one_row, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def make_entities(
    connection: DuckDBPyConnection, view: str, key: str, query: str, source: str
) -> None:
    """Create a table with one row per id. Identical rows of an id are merged.

    Args:
        connection: The database of the table.
        view: The table's name.
        key: The id column.
        query: SQL of the rows.
        source: The origin of the rows, for messages.

    Raises:
        DataError: An id has rows that differ.
    """
    connection.execute(f"CREATE TABLE {quoted(view)} AS SELECT DISTINCT * FROM ({query})")
    rows = connection.execute(
        f"""SELECT {key}, count(*) OVER () FROM {quoted(view)}
        GROUP BY {key} HAVING count(*) > 1 ORDER BY {key} LIMIT 5"""
    ).fetchall()
    if rows:
        ids = ", ".join(str(raw_id) for raw_id, _ in rows)
        raise DataError(
            f"{source}: {rows[0][1]} {key}(s) have several different rows, such as {ids}. Keep one "
            "row per id."
        )


def require_common_ids(connection: DuckDBPyConnection, view: str, key: str, path: Path) -> None:
    """Raise an error if no id of a file occurs in the log.

    Args:
        connection: The database of both.
        view: The table made from the file.
        key: The id column.
        path: The file, for the message.

    Raises:
        DataError: The file and the log have no id in common.
    """
    query = f"SELECT count(*) FROM {quoted(view)} SEMI JOIN impressions USING ({key})"
    if one_row(connection, query)[0]:
        return
    theirs, ours = (examples(connection, relation, key) for relation in (view, "impressions"))
    raise DataError(
        f"{path}: none of its {key}s occurs in the log. The file has {theirs}, the log {ours}. Ids "
        "are compared as text: 007 differs from 7, and 7.0 equals 7 only in a column that holds "
        "nothing but numbers."
    )


def examples(connection: DuckDBPyConnection, relation: str, key: str) -> str:
    """Return the first ids of a relation, for a message.

    Args:
        connection: The database of the relation.
        relation: Its name.
        key: The id column.
    """
    query = f"SELECT DISTINCT {key}::VARCHAR FROM {quoted(relation)} ORDER BY 1 LIMIT 3"
    return ", ".join(repr(value) for (value,) in connection.execute(query).fetchall())
