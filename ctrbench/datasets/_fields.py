"""Determine the kind of each field column and the SQL that reads its values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench.datasets._lists import ColumnOptions, list_rules, list_value
from ctrbench.datasets._tables import FLOATS, Rule, Table, broken_rules, not_a_number, number, text
from ctrbench.errors import DataError, raise_all, shortened
from ctrbench.importing.relations import one_row, quoted
from ctrbench.schema import Field, FieldKind, FieldOwner

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NEARLY_ALL = 0.8  # of values; a category such as a version number is often a decimal number
FIRST = 10_000  # rows of a text file that show whether a column may be numeric
UNSUPPORTED = ("BLOB", "STRUCT", "MAP", "UNION", "BIT")  # types that fields cannot hold


def read_fields(
    connection: DuckDBPyConnection,
    tables: list[Table],
    columns: list[str],
    of: FieldOwner,
    options: ColumnOptions,
) -> tuple[list[Field], list[list[str]]]:
    """Return the columns as fields and, for each table, the SQL of their values.

    Args:
        connection: The database of the tables.
        tables: Tables with the same columns.
        columns: The columns to read as fields.
        of: The owner of the fields.
        options: The user's options for columns.

    Raises:
        DataError: A column has an unsupported type, or a value does not match its kind.
    """
    kinds: dict[str, FieldKind | None] = {
        column: _kind(connection, tables, column, options) for column in columns
    }
    problems = [_unsuitable(tables, column) for column, kind in kinds.items() if kind is None]
    for column in [c for c in columns if kinds[c] == "categorical" and c not in options.kinds]:
        problems += _nearly_numbers(connection, tables, column)
    fields = [
        Field(name=name, of=of, kind=kind) for name, kind in kinds.items() if kind is not None
    ]
    for table in tables:
        rules = [not_a_number(table, f.name) for f in fields if f.kind == "numeric"]
        lists = [f.name for f in fields if f.kind == "list"]
        rules += [rule for name in lists for rule in list_rules(table, name, options)]
        problems += broken_rules(connection, table, rules)
    raise_all(problems, DataError, "these columns cannot be read as fields:")
    return fields, [[_value(table, f, options) for f in fields] for table in tables]


def stated_rules(table: Table, columns: list[str], options: ColumnOptions) -> list[Rule]:
    """Return the rules for columns whose kind the options state.

    Args:
        table: The table of the columns.
        columns: The columns of fields.
        options: The user's options for columns.
    """
    rules = []
    for column in columns:
        kind = options.kinds.get(column, "list" if column in options.printed else None)
        rules += [not_a_number(table, column)] if kind == "numeric" else []
        rules += list_rules(table, column, options) if kind == "list" else []
    return rules


def _kind(
    connection: DuckDBPyConnection, tables: list[Table], column: str, options: ColumnOptions
) -> FieldKind | None:
    """Return the requested kind, or the one that the types imply; None if there is none."""
    if column in options.kinds:
        return options.kinds[column]
    types = {table.types[column] for table in tables}
    vectors = {kind for kind in types if kind.endswith("]") and kind.startswith(FLOATS)}
    if vectors or any(kind.startswith(UNSUPPORTED) for kind in types):
        return None
    if any(kind.endswith("]") for kind in types) or column in options.printed:
        return "list"
    typed = {_is_fraction(kind) for kind in _typed(tables, column)}
    if typed:
        return None if len(typed) > 1 else "numeric" if typed.pop() else "categorical"
    written = all(
        table.is_text and _written_as_numbers(connection, table, column) for table in tables
    )
    return "numeric" if written else "categorical"


def _typed(tables: list[Table], column: str) -> dict[str, Table]:
    """Return the types of a column in files with types, each with its first file."""
    found: dict[str, Table] = {}
    for table in tables:
        if not table.is_text and table.types[column] != '"NULL"':
            found.setdefault(table.types[column], table)
    return found


def _is_fraction(kind: str) -> bool:
    return kind in FLOATS or kind.startswith("DECIMAL")


def _unsuitable(tables: list[Table], column: str) -> str:
    """Return the problem of a column whose types imply no kind of field."""
    typed = _typed(tables, column)
    several = {_is_fraction(kind) for kind in typed} == {True, False}
    if several and not any(kind.startswith(UNSUPPORTED) or kind.endswith("]") for kind in typed):
        listed = ", ".join(f"{kind} in {table.path}" for kind, table in typed.items())
        return (
            f"column '{column}' has several types: {listed}. Give --numeric {column} or "
            f"--categorical {column}."
        )
    return (
        f"{tables[0].path}: column '{column}' has type {tables[0].types[column]}, which a field "
        f"cannot hold. Exclude it with --drop {column}."
    )


def _written_as_numbers(connection: DuckDBPyConnection, table: Table, column: str) -> bool:
    """Return whether a text column holds only numbers, some with a decimal point.

    Whole numbers alone may be codes.
    """
    value = text(table, column)
    (numbers,) = one_row(
        connection,
        f"""SELECT count({value}) > 0 AND bool_and(TRY_CAST({value} AS DOUBLE) IS NOT NULL)
            AND bool_or(regexp_matches({value}, '^[-+]?[0-9]*\\.[0-9]'))
        FROM {table.relation} WHERE {value} IS NOT NULL""",
    )
    return bool(numbers)


def _nearly_numbers(connection: DuckDBPyConnection, tables: list[Table], column: str) -> list[str]:
    """Return problems of text files whose column is probably numeric.

    Numbers have decimal commas, or nearly all have decimal points. The first rows decide whether
    the others are read.
    """
    problems, quoted_column = [], quoted(column)
    point, comma = (
        f"regexp_full_match({quoted_column}, '[-+]?[0-9]*[{mark}][0-9]+')" for mark in (".", ",")
    )
    is_word = f"{quoted_column} <> '' AND TRY_CAST({quoted_column} AS DOUBLE) IS NULL"
    chosen = f"""count(nullif({quoted_column}, '')), count(*) FILTER ({point}),
        count(*) FILTER ({comma}), count(*) FILTER ({is_word}),
        min({quoted_column}) FILTER ({is_word})"""
    for table in (table for table in tables if table.is_text):
        for rows in (f"(FROM {table.relation} LIMIT {FIRST})", table.relation):
            count, points, commas, words, word = one_row(connection, f"SELECT {chosen} FROM {rows}")
            if max(points, commas) <= NEARLY_ALL * count:
                break
        else:
            where = f"{table.path}: the values of '{column}'"
            cure = f"or give --categorical {column}."
            if commas == words:
                problems.append(
                    f"{where} appear to be numbers with decimal commas, such as "
                    f"{shortened(word)}. Write decimal points, {cure}"
                )
            elif points > commas:
                problems.append(
                    f"{where} are numbers except {words:,}, such as {shortened(word)}. Write "
                    f"missing values as empty cells, {cure}"
                )
    return problems


def _value(table: Table, field: Field, options: ColumnOptions) -> str:
    if field.kind == "list":
        return list_value(table, field.name, options)
    if field.kind == "numeric":
        return f"({number(table, field.name)})::FLOAT"
    return text(table, field.name)
