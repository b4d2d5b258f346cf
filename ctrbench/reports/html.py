"""HTML tables for a notebook or a page of one's own, without a document around them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ctrbench.analysis.blocks import Block, Entry, headline
from ctrbench.analysis.table import ComparisonTable
from ctrbench.analysis.verdicts import Verdicts
from ctrbench.reports._base import Report
from ctrbench.reports._texts import HEAD, entry_text, verdict_texts


class Html(Report):
    """Lists and tables, without styles except the alignment of numbers."""

    def brief(self, table: ComparisonTable) -> str:
        """Return the answer, the headline deltas, their footnotes and all warnings."""
        blocks = [headline(table.blocks, "baseline"), headline(table.blocks, "shuffled")]
        return _page(table, [block for block in blocks if block is not None], whole=False)

    def render(self, table: ComparisonTable) -> str:
        """Return answer, caption, blocks, verdicts, footnotes and warnings."""
        return _page(table, table.blocks, whole=True)


def _page(table: ComparisonTable, blocks: Sequence[Block], whole: bool) -> str:
    marks = {mark for block in blocks for mark in block.marks}
    parts = [_listed([line.text for line in table.answer.lines])]
    if whole:
        parts.append(f"<p>{escape(' '.join(table.caption))}</p>")
    parts += [_block(block, table) for block in blocks]
    if whole and table.verdicts:
        parts.append(_verdicts(table.verdicts))
    parts += [
        f"<p>{_superscript((note.mark,))} {escape(note.text)}</p>"
        for note in table.footnotes
        if whole or note.mark in marks
    ]
    parts.append(_listed([f"Warning: {warning}" for warning in table.warnings]))
    return "\n".join(part for part in parts if part) + "\n"


def _listed(texts: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def _block(block: Block, table: ComparisonTable) -> str:
    rows = [_row("th", ["", *map(escape, table.headers)])]
    controls_follow = True
    for line in block.lines:
        if line.control and controls_follow:
            rows.append(_row("td", ["<i>controls</i>", *("" for _ in table.columns)]))
            controls_follow = False
        rows.append(_row("td", [escape(line.title), *map(_shown, line.entries)]))
    detail = f" {escape(block.detail)}" if block.detail else ""
    return _table(f"<b>{escape(block.title)}</b>{detail}", rows)


def _verdicts(verdicts: Verdicts) -> str:
    rows = [_row("th", HEAD)]
    rows += [_row("td", list(map(escape, verdict_texts(line)))) for line in verdicts.lines]
    reading = f"<p>{escape(' '.join(verdicts.reading))}</p>"
    return f"{_table(f'<b>{escape(verdicts.title)}</b>', rows)}\n{reading}"


def _table(caption: str, rows: Sequence[str]) -> str:
    return f"<p>{caption}</p>\n<table><tbody>{''.join(rows)}</tbody></table>"


def _row(tag: str, places: Sequence[str]) -> str:
    first, *others = places
    cells = "".join(f'<{tag} style="text-align: right">{place}</{tag}>' for place in others)
    return f'<tr><{tag} style="text-align: left">{first}</{tag}>{cells}</tr>'


def _shown(entry: Entry) -> str:
    text = escape(entry_text(entry))
    return (f"<b>{text}</b>" if entry.separable else text) + _superscript(entry.marks)


def _superscript(marks: Sequence[str]) -> str:
    return f"<sup>{','.join(marks)}</sup>" if marks else ""
