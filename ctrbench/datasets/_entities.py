"""Tables of users or items, one row per id."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.errors import DataError
from ctrbench.importing.relations import Relation, make_table, one_row

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def make_entities(
    connection: DuckDBPyConnection, name: str, key: str, query: str, source: str
) -> Relation:
    """Return a table with one row per id. Identical rows of an id are merged.

    Args:
        connection: The database of the table.
        name: The rows of the table, in a word.
        key: The id column.
        query: SQL of the rows.
        source: The origin of the rows, for messages.

    Raises:
        DataError: An id has rows that differ.
    """
    entities = make_table(connection, name, f"SELECT DISTINCT * FROM ({query})")
    rows = connection.execute(
        f"""SELECT {key}, count(*) OVER () FROM {entities}
        GROUP BY {key} HAVING count(*) > 1 ORDER BY {key} LIMIT 5"""
    ).fetchall()
    if rows:
        ids = ", ".join(str(raw_id) for raw_id, _ in rows)
        raise DataError(
            f"{source}: {rows[0][1]} {key}(s) have several different rows, such as {ids}. Keep one "
            "row per id."
        )
    return entities


def require_common_ids(entities: Relation, key: str, path: Path, impressions: Relation) -> None:
    """Raise an error if no id of a file occurs in the log.

    Args:
        entities: The table made from the file.
        key: The id column.
        path: The file, for the message.
        impressions: The impressions of the log.

    Raises:
        DataError: The file and the log have no id in common.
    """
    query = f"SELECT count(*) FROM {entities} SEMI JOIN {impressions} USING ({key})"
    if one_row(entities.connection, query)[0]:
        return
    theirs, ours = (examples(relation, key) for relation in (entities, impressions))
    raise DataError(
        f"{path}: none of its {key}s occurs in the log. The file has {theirs}; the log has {ours}. "
        "Ids are compared as text: 007 differs from 7, and 7.0 equals 7 only in a column that "
        "contains only numbers."
    )


def examples(relation: Relation, key: str) -> str:
    """Return the first ids of a relation, for a message.

    Args:
        relation: Any relation.
        key: The id column.
    """
    query = f"SELECT DISTINCT {key}::VARCHAR FROM {relation} ORDER BY 1 LIMIT 3"
    return ", ".join(repr(value) for (value,) in relation.connection.execute(query).fetchall())
