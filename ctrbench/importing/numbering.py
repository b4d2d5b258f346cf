"""Dense numbers for raw ids and field values, in an order that no file's line order can change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench.importing.database import column_types, has_view, quoted, scalar
from ctrbench.schema import Field

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RELATIONS = {"user": "users", "item": "items", "context": "impressions"}  # where a field stands


def canonical_order(connection: DuckDBPyConnection, relation: str, column: str) -> str:
    """SQL order of a column: by number where every value is a whole number, else by text."""
    name = quoted(column)
    if column_types(connection, relation)[column] != "VARCHAR":
        return name
    query = f"SELECT bool_and(regexp_full_match({name}, '[0-9]+')) FROM {relation}"
    if not scalar(connection, query):
        return name
    digits = f"ltrim({name}, '0')"
    return f"length({digits}), {digits}, {name}"


def number_ids(connection: DuckDBPyConnection, has_history: bool) -> None:
    """Make `user_ids` and `item_ids` (raw_id, dense id from 1; items: listed in the items file).

    Users are those with an impression; items those of the items file, shown, or in a history.
    """
    connection.execute(
        "CREATE TABLE raw_users AS SELECT DISTINCT user_id AS raw_id FROM impressions"
    )
    order = canonical_order(connection, "raw_users", "raw_id")
    connection.execute(
        f"""CREATE TABLE user_ids AS
        SELECT raw_id, (row_number() OVER (ORDER BY {order}))::INTEGER AS user_id FROM raw_users"""
    )
    sources = ["SELECT DISTINCT item_id AS raw_id, false AS listed FROM impressions"]
    if has_view(connection, "items"):
        sources.append("SELECT item_id, true FROM items")
    if has_history:
        sources.append("SELECT DISTINCT unnest(history), false FROM impressions")
    connection.execute(
        f"""CREATE TABLE raw_items AS SELECT raw_id, bool_or(listed) AS listed
        FROM ({" UNION ALL ".join(sources)}) GROUP BY raw_id"""
    )
    order = canonical_order(connection, "raw_items", "raw_id")
    connection.execute(
        f"""CREATE TABLE item_ids AS
        SELECT raw_id, listed, (row_number() OVER (ORDER BY {order}))::INTEGER AS item_id
        FROM raw_items"""
    )


def number_values(connection: DuckDBPyConnection, index: int, field: Field) -> int:
    """Make the field's table `codes_<index>` (value, code from 1); returns how many values it has.

    A list field also gets `lists_<index>`: each distinct list of values as a list of codes.
    """
    relation, name = RELATIONS[field.of], quoted(field.name)
    one = f"unnest({name})" if field.kind == "list" else name
    connection.execute(
        f"""CREATE TABLE values_{index} AS SELECT DISTINCT value
        FROM (SELECT {one} AS value FROM {relation}) WHERE value <> ''"""
    )
    order = canonical_order(connection, f"values_{index}", "value")
    connection.execute(
        f"""CREATE TABLE codes_{index} AS
        SELECT value, (row_number() OVER (ORDER BY {order}))::INTEGER AS code FROM values_{index}"""
    )
    if field.kind == "list":
        connection.execute(
            f"""CREATE TABLE lists_{index} AS
            SELECT raw, list(code ORDER BY position) AS codes
            FROM (SELECT raw, unnest(raw) AS value, generate_subscripts(raw, 1) AS position
                  FROM (SELECT DISTINCT {name} AS raw FROM {relation}))
            JOIN codes_{index} USING (value) GROUP BY raw"""
        )
    return scalar(connection, f"SELECT count(*) FROM codes_{index}")


def encoded(index: int, field: Field, row: str) -> tuple[str, str]:
    """SQL of a field as the record holds it, and of the join it needs, from rows named `row`."""
    raw, name = f"{row}.{quoted(field.name)}", quoted(field.name)
    if field.kind == "numeric":
        return f"{raw}::FLOAT AS {name}", ""
    if field.kind == "text":
        return f"{raw} AS {name}", ""
    if field.kind == "list":
        codes = f"coalesce(lists_{index}.codes, []::INTEGER[]) AS {name}"
        return codes, f"LEFT JOIN lists_{index} ON lists_{index}.raw = {raw}"
    code = f"coalesce(codes_{index}.code, 0) AS {name}"
    return code, f"LEFT JOIN codes_{index} ON codes_{index}.value = {raw}"
