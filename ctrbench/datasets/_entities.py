"""Tables of users or items: one row for each id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench.errors import DataError
from ctrbench.impressions.database import quoted

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
