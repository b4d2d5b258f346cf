"""What commands print, as HTML for a notebook."""

from __future__ import annotations

import html
from importlib import import_module
from io import StringIO

from rich.console import Console
from rich.segment import Segment
from rich.table import Table

from ctrbench.terminal import output
from ctrbench.terminal._tables import NUMBER, Aligned

CELL = "text-align: {}; vertical-align: top"
WIDTH = 10_000  # columns; HTML wraps lines itself


def as_html(found: object, view: str) -> str:
    """Return what a view prints as HTML: tables as tables, other lines as text.

    Args:
        found: The result.
        view: `MODULE.FUNCTION` below `ctrbench.terminal`, which prints the result.
    """
    module, _, name = view.partition(".")
    parts: list[str] = []
    with output.captured(lambda printed: parts.append(_part(printed))):
        getattr(import_module(f"ctrbench.terminal.{module}"), name)(found)
    return "".join(parts)


def _part(printed: object) -> str:
    """Return one printed object as HTML."""
    if isinstance(printed, Table):
        return _table(printed)
    if isinstance(printed, Aligned):
        sides = ["right" if NUMBER.fullmatch(one) else "left" for one in printed.rows[-1]]
        return _rows([_row("td", [one.strip() for one in row], sides) for row in printed.rows])
    text = html.escape(_plain(printed).strip("\n"))
    if not text:
        return ""
    return f'<pre style="white-space: pre-wrap; margin: 0.3em 0">{text}</pre>'


def _table(table: Table) -> str:
    """Return a table of rich as HTML; its cells are text."""
    sides = [column.justify if column.justify == "right" else "left" for column in table.columns]
    rows = []
    heads = [_plain(column.header).strip() for column in table.columns]
    if table.show_header and any(heads):
        rows.append(_row("th", heads, sides))
    cells = [[_plain(cell).strip() for cell in column.cells] for column in table.columns]
    rows += [_row("td", texts, sides) for texts in zip(*cells, strict=True)]
    return _rows(rows)


def _rows(rows: list[str]) -> str:
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def _row(tag: str, texts: list[str] | tuple[str, ...], sides: list[str]) -> str:
    cells = (
        f'<{tag} style="{CELL.format(side)}">{html.escape(text)}</{tag}>'
        for text, side in zip(texts, sides, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _plain(printed: object) -> str:
    """Return an object of rich as text."""
    if isinstance(printed, str):
        return output.printable(printed)
    console = Console(file=StringIO(), width=WIDTH, color_system=None, force_jupyter=False)
    segments: list[Segment] = list(console.render(printed))  # type: ignore[arg-type]
    return output.printable("".join(one.text for one in segments if not one.control))
