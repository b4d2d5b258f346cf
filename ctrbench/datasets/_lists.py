"""Columns of lists: Parquet lists, text joined by a separator, or printed lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ctrbench.datasets._tables import Rule, Table, text
from ctrbench.importing.relations import literal, one_row, quoted
from ctrbench.raw_ids import without_blanks
from ctrbench.schema import FieldKind

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

QUOTED = "'[^'\\\\]*'|\"[^\"\\\\]*\""
LETTER = ",'\"\\[\\](){}|;\\\\"  # characters that an unquoted word does not contain
WORD = f"[^{LETTER}\\s]([^{LETTER}]*[^{LETTER}\\s])?"  # may contain blanks inside
NUMBER = "[-+]?[0-9]+(\\.[0-9]*)?([eE][-+]?[0-9]+)?"
ITEM = f"({QUOTED}|{WORD})"
# the printed forms of lists: Python, JSON and Spark with commas, numpy without
WITH_COMMAS = f"\\s*({ITEM}(\\s*,\\s*{ITEM})*)?\\s*"
OF_NUMBERS = f"\\s*{NUMBER}(\\s+{NUMBER})*\\s*"
OF_QUOTED = f"\\s*({QUOTED})(\\s+({QUOTED}))*\\s*"
LOOSE = "[^,'\"]*[^,'\"\\s]\\s+[^,'\"\\s][^,'\"]*"  # adjacent words: ambiguous
SEVERAL = "[,'\"]|^\\s*$|[0-9]\\s+[0-9]"  # quotes, commas, adjacent numbers, or an empty list
MOSTLY = 0.9  # share of values in brackets that makes a column one of printed lists
NOTHING = ("None", "null", "nan", "NaN")  # missing values in printed lists


@dataclass(frozen=True)
class ColumnOptions:
    """The user's options for columns, which override what the types imply."""

    kinds: Mapping[str, FieldKind] = field(default_factory=dict)
    separators: Mapping[str, str] = field(default_factory=dict)  # of lists in text columns
    pad: str | None = None  # the padding value of lists, which is dropped
    printed: frozenset[str] = frozenset()  # text columns that hold printed lists


def element(kind: str) -> str | None:
    """Return the element type of a list type; None for other types.

    >>> element("BIGINT[]"), element("DOUBLE[20]"), element("VARCHAR")
    ('BIGINT', 'DOUBLE', None)
    """
    return kind[: kind.rindex("[")] if kind.endswith("]") else None


def printed_lists(connection: DuckDBPyConnection, tables: list[Table]) -> frozenset[str]:
    """Return the text columns whose values are in brackets, some with several or no items.

    A few other values do not change that, so that `list_rules` reports them as damaged lists.

    Args:
        connection: The database of the tables.
        tables: The tables to inspect.
    """
    present, bracketed, several = Counter[str](), Counter[str](), Counter[str]()
    for table in tables:
        columns = [name for name, kind in table.types.items() if kind == "VARCHAR"]
        if not columns or not table.rows:
            continue
        counts = ", ".join(
            f"count(*) FILTER (trim({quoted(name)}) <> ''), "
            f"count(*) FILTER ({_in_brackets(name)}), "
            f"count(*) FILTER ({_in_brackets(name)} AND "
            f"regexp_matches({_inner(name)}, {literal(SEVERAL)}))"
            for name in columns
        )
        found = iter(one_row(connection, f"SELECT {counts} FROM {table.relation}"))
        for name in columns:
            present[name] += next(found)
            bracketed[name] += next(found)
            several[name] += next(found)
    return frozenset(
        name
        for name, number in bracketed.items()
        if several[name] and number >= MOSTLY * present[name]
    )


def list_rules(table: Table, column: str, options: ColumnOptions) -> list[Rule]:
    """Return the rules for a column of lists: values in brackets must be unambiguous lists.

    Args:
        table: The table of the column.
        column: The column of lists.
        options: The user's options for columns.
    """
    if table.types[column] != "VARCHAR":
        return []
    cure = "join the values with a separator, as in 1^2^3, and give --list 'NAME=^'"
    if column in options.printed:
        inner = _inner(column)
        whole = f"regexp_full_match({inner}, {literal('|'.join((WITH_COMMAS, OF_QUOTED)))})"
        cut = f"regexp_matches({inner}, '(^|[\\s,])\\.\\.\\.($|[\\s,])')"
        loose = f"regexp_full_match({inner}, {literal(LOOSE)}) AND NOT {_of_numbers(inner)}"
        broken = f"NOT {_in_brackets(column)} OR NOT {whole} OR {cut} OR ({loose})"
        wrong = f"trim({quoted(column)}) <> '' AND ({broken})"
        cure = f"{cure}; for a column without lists give --text or --categorical {column}"
        return [Rule(column, wrong, "are ambiguous as printed lists", cure)]
    brackets = "are in brackets like printed lists, while others are not"
    return [Rule(column, f"coalesce({_in_brackets(column)}, false)", brackets, cure)]


def history_rules(table: Table, options: ColumnOptions) -> list[Rule]:
    """Return the rules for histories that are split at a separator: they hold bare ids.

    Args:
        table: The table of the log.
        options: The user's options for columns.
    """
    if table.types["history"] != "VARCHAR" or "history" in options.printed:
        return []
    value = f"trim({quoted('history')})"
    nothing = ", ".join(map(literal, NOTHING))
    around = literal("[\\[\\](){}\"']")
    wrong = f"regexp_matches({value}, {around})"
    cure = "write ids without them, joined by a separator"
    return [
        Rule("history", wrong, "contain brackets or quotes", cure),
        Rule("history", f"{value} IN ({nothing})", "are not ids", "leave empty histories empty"),
    ]


def list_value(table: Table, column: str, options: ColumnOptions, value: str = "") -> str:
    """Return SQL for a list of texts without surrounding blanks, empty values and padding.

    Args:
        table: The table of the column.
        column: A column of lists, or of text to split.
        options: The user's options for columns.
        value: SQL that converts an element named `v`; empty for none.
    """
    inner = element(table.types[column])
    if inner:
        cast = "" if value else "::VARCHAR[]"
        values = f"{quoted(column)}{cast}"
    elif column in options.printed:
        values = _printed(column)
    else:
        separator = literal(options.separators.get(column, "|"))
        values = f"string_split({text(table, column)}, {separator})"
        values = f"list_transform({values}, lambda v: {without_blanks('v')})"
    if value:
        present = f"list_filter({values}, lambda v: v IS NOT NULL)"
        values = f"list_transform({present}, lambda v: {value})"
    kept = f"v <> {literal(options.pad)}" if options.pad is not None else "true"
    return f"list_filter({values}, lambda v: v <> '' AND {kept})"


def _in_brackets(column: str) -> str:
    value = f"trim({quoted(column)}, ' \t\r\n')"
    return f"(starts_with({value}, '[') AND ends_with({value}, ']'))"


def _inner(column: str) -> str:
    """Return SQL for the text between the brackets."""
    return f"trim({quoted(column)}, ' \t\r\n')[2:-2]"


def _printed(column: str) -> str:
    """Return SQL for the values of a printed list."""
    inner = _inner(column)
    numbers = f"string_split_regex(trim({inner}, ' \t\r\n'), '\\s+')"
    pieces = f"regexp_extract_all({inner}, {literal(f'{QUOTED}|{WORD}')})"
    cut = f"CASE WHEN {_of_numbers(inner)} THEN {numbers} ELSE {pieces} END"
    nothing = ", ".join(map(literal, NOTHING))
    present = f"list_filter({cut}, lambda v: v NOT IN ({nothing}))"
    quoted_piece = "v[1] IN ('''', '\"')"
    return f"list_transform({present}, lambda v: CASE WHEN {quoted_piece} THEN v[2:-2] ELSE v END)"


def _of_numbers(inner: str) -> str:
    return f"regexp_full_match({inner}, {literal(OF_NUMBERS)})"
