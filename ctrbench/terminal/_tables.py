"""The console, and the two kinds of tables that commands print on it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ctrbench.terminal import output

WIDE = 160  # columns if the output is not a terminal
NUMBER = re.compile(r"[<>]? ?[+-]?[\d.,]+( ?%)?|–")


def console() -> Console:
    """Return the console of a command's results."""
    return output.console(width=None if sys.stdout.isatty() else WIDE)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str]) -> Table:
    """Return a table without lines.

    Args:
        headings: One per column.
        rows: One text per column.
        numbers: The headings of right-aligned columns.
    """
    made = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=any(headings))
    for heading in headings:
        made.add_column(heading, justify="right" if heading in numbers else "left")
    for row in rows:
        made.add_row(*map(Text, row))
    return made


class Aligned(str):
    """Lines of aligned columns, which also know their cells."""

    rows: list[Sequence[str]]


def aligned(rows: Iterable[Sequence[str]]) -> Aligned:
    """Return rows as lines of aligned columns; numbers are right-aligned in columns of numbers.

    Args:
        rows: At least one row, with one text per column; the first may be a head.
    """
    made = list(rows)
    columns = [*zip(*made, strict=True)]
    widths = [max(map(len, column)) for column in columns]
    numeric = [all(_is_number(one) for one in column[1:] if one) for column in columns]
    lines = []
    for row in made:
        cells = (
            cell.rjust(width) if right and _is_number(cell) else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        lines.append("  ".join(cells).rstrip())
    text = Aligned("\n".join(lines))
    text.rows = made
    return text


def _is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell.strip()) is not None
