"""Lists of values in one column: as lists of a Parquet file, joined by a separator, or printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ctrbench.datasets._tables import Rule, Table, text
from ctrbench.impressions.database import literal, one_row, quoted
from ctrbench.schema import FieldKind

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

QUOTED = "'[^'\\\\]*'|\"[^\"\\\\]*\""
LETTER = ",'\"\\[\\](){}|;\\\\"  # what no word without quotes holds
WORD = f"[^{LETTER}\\s]([^{LETTER}]*[^{LETTER}\\s])?"  # blanks inside only
NUMBER = "[-+]?[0-9]+(\\.[0-9]*)?([eE][-+]?[0-9]+)?"
ITEM = f"({QUOTED}|{WORD})"
# a list as Python, JSON or Spark print it, and as numpy does
WITH_COMMAS = f"\\s*({ITEM}(\\s*,\\s*{ITEM})*)?\\s*"
OF_NUMBERS = f"\\s*{NUMBER}(\\s+{NUMBER})*\\s*"
OF_QUOTED = f"\\s*({QUOTED})(\\s+({QUOTED}))*\\s*"
LOOSE = "[^,'\"]*[^,'\"\\s]\\s+[^,'\"\\s][^,'\"]*"  # words side by side: one value or several?
SEVERAL = "[,'\"]|^\\s*$|[0-9]\\s+[0-9]"  # quotes, commas, numbers side by side, or nothing
NOTHING = ("None", "null", "nan", "NaN")  # what stands in a printed list for no value


@dataclass(frozen=True)
class Wishes:
    """What the user says about columns, instead of what their types say."""

    kinds: Mapping[str, FieldKind] = field(default_factory=dict)
    separators: Mapping[str, str] = field(default_factory=dict)  # of lists in a text column
    pad: str | None = None  # the value that fills up lists, dropped
    printed: frozenset[str] = frozenset()  # text columns that hold lists as programs print them


def element(kind: str) -> str | None:
    """The type of a list's elements; None: the type is no list.

    >>> element("BIGINT[]"), element("DOUBLE[20]"), element("VARCHAR")
    ('BIGINT', 'DOUBLE', None)
    """
    return kind[: kind.rindex("[")] if kind.endswith("]") else None


def printed_lists(connection: DuckDBPyConnection, tables: list[Table]) -> frozenset[str]:
    """The text columns whose values all stand in brackets, some with several items or none."""
    found: dict[str, bool] = {}
    for table in tables:
        columns = [name for name, kind in table.types.items() if kind == "VARCHAR"]
        if not columns or not table.rows:
            continue
        asked = ", ".join(
            f"bool_and({_in_brackets(name)}) FILTER (trim({quoted(name)}) <> '') AND "
            f"bool_or(regexp_matches({_inner(name)}, {literal(SEVERAL)}))"
            for name in columns
        )
        told = one_row(connection, f"SELECT {asked} FROM {table.relation}")
        for name, printed in zip(columns, told, strict=True):
            if printed is not None:
                found[name] = found.get(name, True) and printed
    return frozenset(name for name, printed in found.items() if printed)


def list_rules(table: Table, column: str, wishes: Wishes) -> list[Rule]:
    """No value may be half of a printed list, or one that cannot be read exactly."""
    if table.types[column] != "VARCHAR":
        return []
    cure = "write them joined by a sign, such as 1^2^3, with --list 'NAME=^'"
    if column in wishes.printed:
        inner = _inner(column)
        whole = f"regexp_full_match({inner}, {literal('|'.join((WITH_COMMAS, OF_QUOTED)))})"
        cut = f"regexp_matches({inner}, '(^|[\\s,])\\.\\.\\.($|[\\s,])')"
        loose = f"regexp_full_match({inner}, {literal(LOOSE)}) AND NOT {_of_numbers(inner)}"
        wrong = f"trim({quoted(column)}) <> '' AND (NOT {whole} OR {cut} OR ({loose}))"
        cure = f"{cure}; a column that is no list: --text or --categorical {column}"
        return [Rule(column, wrong, "are no printed lists that can be read exactly", cure)]
    brackets = "stand in brackets as printed lists do, others do not"
    return [Rule(column, f"coalesce({_in_brackets(column)}, false)", brackets, cure)]


def history_rules(table: Table, wishes: Wishes) -> list[Rule]:
    """A history that is cut at a sign holds ids, and nothing that a program wrote around them."""
    if table.types["history"] != "VARCHAR" or "history" in wishes.printed:
        return []
    value = f"trim({quoted('history')})"
    nothing = ", ".join(map(literal, NOTHING))
    around = literal("[\\[\\](){}\"']")
    wrong = f"regexp_matches({value}, {around})"
    cure = "write ids alone, joined by a sign"
    return [
        Rule("history", wrong, "hold brackets or quotes", cure),
        Rule("history", f"{value} IN ({nothing})", "say that there is none", "leave them empty"),
    ]


def list_value(table: Table, column: str, wishes: Wishes, value: str = "") -> str:
    """SQL for a list of texts; blanks around them, empty ones and the pad are dropped.

    Args:
        table: of the column.
        column: of lists, or of text that is cut.
        wishes: how, and the pad.
        value: SQL for an element named `v`; empty: as it stands.
    """
    inner = element(table.types[column])
    if inner:
        cast = "" if value else "::VARCHAR[]"
        values = f"{quoted(column)}{cast}"
    elif column in wishes.printed:
        values = _printed(column)
    else:
        separator = literal(wishes.separators.get(column, "|"))
        values = f"string_split({text(table, column)}, {separator})"
        values = f"list_transform({values}, lambda v: trim(v, ' \t'))"
    if value:
        present = f"list_filter({values}, lambda v: v IS NOT NULL)"
        values = f"list_transform({present}, lambda v: {value})"
    kept = f"v <> {literal(wishes.pad)}" if wishes.pad is not None else "true"
    return f"list_filter({values}, lambda v: v <> '' AND {kept})"


def _in_brackets(column: str) -> str:
    value = f"trim({quoted(column)}, ' \t\r\n')"
    return f"(starts_with({value}, '[') AND ends_with({value}, ']'))"


def _inner(column: str) -> str:
    """SQL for what stands between the brackets."""
    return f"trim({quoted(column)}, ' \t\r\n')[2:-2]"


def _printed(column: str) -> str:
    """SQL for the values of a printed list."""
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
