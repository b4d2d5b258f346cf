"""Ids of the files of one import: the rule of `raw_ids` for their columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from ctrbench.datasets._lists import Wishes, element, list_value
from ctrbench.datasets._tables import Rule, Table
from ctrbench.impressions.database import literal, one_row, quoted
from ctrbench.raw_ids import (
    NUMBERS,
    absent,
    expression,
    holds_floats,
    refusals,
    written_as_floats,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# All ids of users, or all of items, of one import: whole numbers from 0 that fit into 63 bits and
# join faster as numbers; text; or text of which some columns without a type hold floats.
Kind = Literal["whole", "text", "floats"]
NARROW = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")


def kind_of_ids(
    connection: DuckDBPyConnection,
    columns: list[tuple[Table, str]],
    histories: list[Table],
    wishes: Wishes,
) -> Kind:
    """How the ids of users or items are read, decided once for all files that hold them.

    Args:
        connection: the tables are in this database.
        columns: where single ids stand.
        histories: tables whose column `history` holds ids of items.
        wishes: how lists are cut.
    """
    if _whole(connection, columns) and all(
        element(table.types["history"]) in NARROW for table in histories
    ):
        return "whole"
    relations = [
        f"SELECT {quoted(column)} AS v FROM {table.relation}"
        for table, column in columns
        if table.is_text
    ]
    relations += [
        f"SELECT unnest({list_value(table, 'history', wishes)}) AS v FROM {table.relation}"
        for table in histories
        if table.is_text
    ]
    return "floats" if _hold_floats(connection, relations) else "text"


def id_value(table: Table, column: str, kind: Kind) -> str:
    """SQL for an id: a number where all are whole numbers, else text; NULL where it is missing."""
    if kind == "whole":
        return f"{quoted(column)}::BIGINT"
    return expression(quoted(column), _type(table, table.types[column], kind))


def ids_value(table: Table, column: str, wishes: Wishes, kind: Kind) -> str:
    """SQL for a list of ids, without empty ones and the pad."""
    if kind == "whole":
        values = f"{quoted(column)}::BIGINT[]"
        pad = f" AND v::VARCHAR <> {literal(wishes.pad)}" if wishes.pad is not None else ""
        return f"list_filter({values}, lambda v: v IS NOT NULL{pad})"
    inner = element(table.types[column])
    ids = expression("v", _type(table, inner or "VARCHAR", kind))
    return list_value(table, column, wishes, ids)


def id_rules(table: Table, column: str, kind: Kind) -> list[Rule]:
    """No id may be missing, or be none."""
    kind_here = _type(table, table.types[column], kind)
    return [
        Rule(column, absent(quoted(column), kind_here), "missing"),
        *_blanks(table, column),
        *(Rule(column, wrong, told) for wrong, told in refusals(quoted(column), kind_here)),
    ]


def ids_rules(table: Table, column: str, wishes: Wishes, kind: Kind) -> list[Rule]:
    """No list may hold what is no id."""
    if kind == "whole":
        return []
    inner = element(table.types[column])
    values = quoted(column) if inner else list_value(table, column, wishes)
    return [
        Rule(column, f"len(list_filter({values}, lambda v: {wrong})) > 0", f"hold ids that {told}")
        for wrong, told in refusals("v", _type(table, inner or "VARCHAR", kind))
    ]


def _type(table: Table, kind: str, ids: Kind) -> str:
    return NUMBERS if ids == "floats" and table.is_text else kind


def _blanks(table: Table, column: str) -> list[Rule]:
    """Blanks around an id of a text file belong to the separator, or nobody knows."""
    if not table.is_text:
        return []
    name = quoted(column)
    wrong = f"{name} <> trim({name}, ' \t') AND trim({name}, ' \t') <> ''"
    cure = "take it out, or say how columns are separated: --separator ', '"
    return [Rule(column, wrong, "begin or end with a blank", cure)]


def _whole(connection: DuckDBPyConnection, columns: Iterable[tuple[Table, str]]) -> bool:
    """Whether all columns hold whole numbers from 0."""
    return all(
        table.types[column] in NARROW
        and (one_row(connection, f"SELECT min({quoted(column)}) FROM {table.relation}")[0] or 0)
        >= 0
        for table, column in columns
    )


def _hold_floats(connection: DuckDBPyConnection, relations: list[str]) -> bool:
    """Whether columns without a type hold floating point numbers, and nothing but numbers."""
    if not relations:
        return False
    union = " UNION ALL ".join(relations)
    suspect = "contains(v, '.') OR contains(v, 'E') OR contains(v, 'e')"
    if not one_row(connection, f"SELECT bool_or({suspect}) FROM ({union})")[0]:
        return False
    query = f"SELECT {holds_floats('v')} AND {written_as_floats('v')} FROM ({union})"
    return bool(one_row(connection, query)[0])
