"""Apply the rule of `raw_ids` to the id columns of an import."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from ctrbench.datasets._lists import ColumnOptions, element, list_value
from ctrbench.datasets._tables import Rule, Table
from ctrbench.importing.relations import literal, one_row, quoted
from ctrbench.raw_ids import (
    NUMBERS,
    absent,
    expression,
    holds_floats,
    refusals,
    refuse_rounded,
    rounded,
    without_blanks,
    written_as_floats,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# How all user ids, or all item ids, of an import are read. whole: integers from 0 of at most 63
# bits, which join faster as numbers. floats: text; untyped columns hold floating-point numbers.
Kind = Literal["whole", "text", "floats"]
NARROW = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")


def kind_of_ids(
    connection: DuckDBPyConnection,
    columns: list[tuple[Table, str]],
    histories: list[Table],
    options: ColumnOptions,
) -> Kind:
    """Return how the ids of users or items are read, for all files that hold them.

    Args:
        connection: The database of the tables.
        columns: Tables and their columns of single ids.
        histories: Tables whose column `history` holds item ids.
        options: The user's options for columns.

    Raises:
        DataError: Ids are rounded numbers.
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
        f"SELECT unnest({list_value(table, 'history', options)}) AS v FROM {table.relation}"
        for table in histories
        if table.is_text
    ]
    if not _hold_floats(connection, relations):
        return "text"
    (example,) = one_row(
        connection, f"SELECT {rounded('v')} FROM ({' UNION ALL '.join(relations)})"
    )
    table, column = next(one for one in columns if one[0].is_text)
    refuse_rounded(example, f"{table.path}, column {column}")
    return "floats"


def id_value(table: Table, column: str, kind: Kind) -> str:
    """Return SQL for an id: a number for kind `whole`, else text; NULL if missing.

    Args:
        table: The table of the column.
        column: The id column.
        kind: How ids of this import are read.
    """
    if kind == "whole":
        return f"{quoted(column)}::BIGINT"
    return expression(quoted(column), _type(table, table.types[column], kind))


def ids_value(table: Table, column: str, options: ColumnOptions, kind: Kind) -> str:
    """Return SQL for a list of ids without empty values and padding.

    Args:
        table: The table of the column.
        column: The column of lists.
        options: The user's options for columns.
        kind: How ids of this import are read.
    """
    if kind == "whole":
        values = f"{quoted(column)}::BIGINT[]"
        pad = f" AND v::VARCHAR <> {literal(options.pad)}" if options.pad is not None else ""
        return f"list_filter({values}, lambda v: v IS NOT NULL{pad})"
    inner = element(table.types[column])
    ids = expression("v", _type(table, inner or "VARCHAR", kind))
    return list_value(table, column, options, ids)


def id_rules(table: Table, column: str, kind: Kind) -> list[Rule]:
    """Return the rules that an id column must satisfy; the first is that no id is missing.

    Args:
        table: The table of the column.
        column: The id column.
        kind: How ids of this import are read.
    """
    kind_here = _type(table, table.types[column], kind)
    return [
        Rule(column, absent(quoted(column), kind_here), "are missing"),
        *_blanks(table, column),
        *(Rule(column, *refused) for refused in refusals(quoted(column), kind_here)),
    ]


def ids_rules(table: Table, column: str, options: ColumnOptions, kind: Kind) -> list[Rule]:
    """Return the rules that a column of id lists must satisfy.

    Args:
        table: The table of the column.
        column: The column of lists.
        options: The user's options for columns.
        kind: How ids of this import are read.
    """
    if kind == "whole":
        return []
    inner = element(table.types[column])
    values = quoted(column) if inner else list_value(table, column, options)
    return [
        Rule(column, f"len(list_filter({values}, lambda v: {wrong})) > 0", f"hold ids that {why}")
        for wrong, why in refusals("v", _type(table, inner or "VARCHAR", kind))
    ]


def _type(table: Table, kind: str, ids: Kind) -> str:
    return NUMBERS if ids == "floats" and table.is_text else kind


def _blanks(table: Table, column: str) -> list[Rule]:
    """Return the rule that no blanks surround ids of text files, where they are ambiguous."""
    if not table.is_text:
        return []
    name, trimmed = quoted(column), without_blanks(quoted(column))
    wrong = f"{name} <> {trimmed} AND {trimmed} <> ''"
    cure = "remove it, or name the column separator: --separator ', '"
    return [Rule(column, wrong, "begin or end with a blank", cure)]


def _whole(connection: DuckDBPyConnection, columns: Iterable[tuple[Table, str]]) -> bool:
    """Return whether all columns hold whole numbers from 0."""
    return all(
        table.types[column] in NARROW
        and (one_row(connection, f"SELECT min({quoted(column)}) FROM {table.relation}")[0] or 0)
        >= 0
        for table, column in columns
    )


def _hold_floats(connection: DuckDBPyConnection, relations: list[str]) -> bool:
    """Return whether untyped columns hold only numbers, some of them floating-point numbers."""
    if not relations:
        return False
    union = " UNION ALL ".join(relations)
    suspect = "contains(v, '.') OR contains(v, 'E') OR contains(v, 'e')"
    if not one_row(connection, f"SELECT bool_or({suspect}) FROM ({union})")[0]:
        return False
    query = f"SELECT {holds_floats('v')} AND {written_as_floats('v')} FROM ({union})"
    return bool(one_row(connection, query)[0])
