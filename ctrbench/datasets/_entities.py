"""Tables of users or items: one row for each id."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.errors import DataError
from ctrbench.impressions.database import one_row, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def make_entities(
    connection: DuckDBPyConnection, view: str, key: str, query: str, told: str
) -> None:
    """Make the table `view`; rows may repeat an id, but not contradict each other.

    Args:
        connection: the table is made in this database.
        view: `users` or `items`.
        key: the id column.
        query: SQL of the rows.
        told: where the rows come from, for the message.

    Raises:
        DataError: an id has two rows that differ.
    """
    connection.execute(f"CREATE TABLE {quoted(view)} AS SELECT DISTINCT * FROM ({query})")
    rows = connection.execute(
        f"""SELECT {key}, count(*) OVER () FROM {quoted(view)}
        GROUP BY {key} HAVING count(*) > 1 ORDER BY {key} LIMIT 5"""
    ).fetchall()
    if rows:
        ids = ", ".join(str(raw_id) for raw_id, _ in rows)
        raise DataError(
            f"{told}: {rows[0][1]} {key}(s) have several rows that differ, such as {ids}; keep "
            "one row each."
        )


def refuse_strangers(connection: DuckDBPyConnection, view: str, key: str, path: Path) -> None:
    """A file none of whose ids occurs in the log is of another log, or spells ids otherwise.

    Raises:
        DataError: there is no id in common.
    """
    query = f"SELECT count(*) FROM {quoted(view)} SEMI JOIN impressions USING ({key})"
    if one_row(connection, query)[0]:
        return
    theirs, ours = (examples(connection, relation, key) for relation in (view, "impressions"))
    raise DataError(
        f"{path}: none of its {key}s occurs in the log; it has {theirs}, the log {ours}. Ids are "
        "compared as text: 007 is not 7, and 7.0 is 7 only in a column of numbers alone."
    )


def examples(connection: DuckDBPyConnection, relation: str, key: str) -> str:
    """The first few ids of a relation."""
    query = f"SELECT DISTINCT {key}::VARCHAR FROM {quoted(relation)} ORDER BY 1 LIMIT 3"
    return ", ".join(repr(value) for (value,) in connection.execute(query).fetchall())
