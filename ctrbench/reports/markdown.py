"""GitHub Markdown for a README: one pipe table per block."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ctrbench.analysis.blocks import Block, Entry
from ctrbench.analysis.table import ComparisonTable
from ctrbench.analysis.verdicts import Verdicts
from ctrbench.reports._base import Report
from ctrbench.reports._texts import HEAD, entry_text, verdict_texts

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$])")


class Markdown(Report):
    """Headings, tables and lists."""

    def render(self, table: ComparisonTable) -> str:
        """Return answer, caption, blocks, verdicts, footnotes and warnings, with blank lines."""
        parts = ["\n".join(f"- {escape(line.text)}" for line in table.answer.lines)]
        parts += [escape(" ".join(table.caption))]
        for block in table.blocks:
            parts += [f"**{escape(block.title)}**", escape(block.detail), _grid(block, table)]
        parts += _verdicts(table.verdicts) if table.verdicts else []
        notes = [f"- {_superscript((n.mark,))} {escape(n.text)}" for n in table.footnotes]
        alarms = [f"- **Warning.** {escape(warning)}" for warning in table.warnings]
        parts += ["\n".join(notes), "\n".join(alarms)]
        return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    r"""Return the text with Markdown's special characters escaped.

    >>> print(escape("sim_score | <b>"))
    sim\_score \| \<b\>
    """
    return _SPECIAL.sub(r"\\\1", text)


def _grid(block: Block, table: ComparisonTable) -> str:
    head = ["", *(escape(column) for column in table.headers)]
    rows = [pipe_row(head), pipe_row(["---", *("---:" for _ in table.columns)])]
    controls_follow = True
    for line in block.lines:
        if line.control and controls_follow:
            rows.append(pipe_row(["*controls*", *("" for _ in table.columns)]))
            controls_follow = False
        rows.append(pipe_row([escape(line.title), *(_shown(entry) for entry in line.entries)]))
    return "\n".join(rows)


def _verdicts(verdicts: Verdicts) -> list[str]:
    rows = [pipe_row(HEAD), pipe_row(["---", "---", *("---:" for _ in HEAD[2:])])]
    rows += [pipe_row([escape(place) for place in verdict_texts(line)]) for line in verdicts.lines]
    return [f"**{escape(verdicts.title)}**", "\n".join(rows), escape(" ".join(verdicts.reading))]


def pipe_row(places: Sequence[str]) -> str:
    """Return a row of a pipe table; its texts are escaped already."""
    return f"| {' | '.join(places)} |"


def _shown(entry: Entry) -> str:
    text = escape(entry_text(entry))
    return (f"**{text}**" if entry.separable else text) + _superscript(entry.marks)


def _superscript(marks: Sequence[str]) -> str:
    return f"<sup>{','.join(marks)}</sup>" if marks else ""
