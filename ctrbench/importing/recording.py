"""Write a prepared data set as Parquet: the record from which everything else can be derived."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.importing.database import has_view, literal, quoted
from ctrbench.importing.numbering import RELATIONS, encoded
from ctrbench.importing.preparing import Prepared

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def write_record(connection: DuckDBPyConnection, prepared: Prepared, folder: Path) -> None:
    """Write impressions, history, items, users and vocabularies as Parquet into `folder`."""
    queries = {
        "impressions": _impressions(prepared),
        "history": _history(prepared),
        "items": _entities(connection, prepared, "item", ", listed"),
        "users": _entities(connection, prepared, "user"),
        "vocabularies": _vocabularies(prepared),
    }
    for name, query in queries.items():
        path = literal(folder / f"{name}.parquet")
        written = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
        connection.execute(f"COPY ({query}) TO {path} ({written})")


def _impressions(prepared: Prepared) -> str:
    """Rows in the order of the record; a join could change it, all else keeps it."""
    given, frozen = prepared.history == "given", prepared.snapshot.kind != "impression"
    state = "frozen" if frozen else "placed"
    chosen = ["user_id", "item_id", "click"]
    if given:
        start, length = "coalesce(history_lists.start, 0)", "coalesce(history_lists.length, 0)"
    else:
        start, length = "_user_start", f"{state}.prior_clicks"
    chosen += [f"{start} AS history_start", f"{length} AS history_length"]
    if prepared.has_timestamp:
        chosen += [f"{state}.prior_impressions", f"{state}.prior_clicks", "timestamp"]
    if prepared.snapshot.kind in ("session", "day"):
        chosen.append("group_id")
    if prepared.has_weight:
        chosen.append("weight")
    if prepared.has_p_true:
        chosen.append("p_true")
    chosen += [quoted(field.name) for field in prepared.fields if field.of == "context"]
    join = "LEFT JOIN history_lists USING (_history)" if given else ""
    order = "" if prepared.in_order and not join else f"ORDER BY {', '.join(prepared.order)}"
    rows = "placed POSITIONAL JOIN frozen" if frozen else "placed"
    return f"SELECT {', '.join(chosen)} FROM {rows} {join} {order}"


def _history(prepared: Prepared) -> str:
    """All clicks of a user in the order of time, one user after the other; or the given lists."""
    if prepared.history == "derived":
        return "SELECT item_id FROM placed WHERE click = 1 ORDER BY user_id, timestamp, item_id"
    return """SELECT item_ids.item_id
        FROM (SELECT start, unnest(history) AS raw_id, generate_subscripts(history, 1) AS position
              FROM history_lists)
        JOIN item_ids USING (raw_id) ORDER BY start, position"""


def _entities(
    connection: DuckDBPyConnection, prepared: Prepared, owner: str, more: str = ""
) -> str:
    """Items or users in the order of their ids: dense id, raw id, fields."""
    ids, view = f"{owner}_ids", RELATIONS[owner]
    chosen, joins = [f"{ids}.{owner}_id", f"{ids}.raw_id::VARCHAR AS raw_id{more}"], []
    if has_view(connection, view):
        joins.append(f"LEFT JOIN {view} ON {view}.{owner}_id = {ids}.raw_id")
    for index, field in enumerate(prepared.fields):
        if field.of == owner:
            expression, join = encoded(index, field, view)
            chosen.append(expression)
            joins.append(join)
    return f"SELECT {', '.join(chosen)} FROM {ids} {' '.join(joins)} ORDER BY {ids}.{owner}_id"


def _vocabularies(prepared: Prepared) -> str:
    """The value of every code of every categorical or list field."""
    parts = ["SELECT '' AS field, 0 AS code, '' AS value WHERE false"]
    parts += [
        f"SELECT {literal(field.name)}, code, value FROM codes_{index}"
        for index, field in enumerate(prepared.fields)
        if field.kind in ("categorical", "list")
    ]
    return f"{' UNION ALL '.join(parts)} ORDER BY field, code"
