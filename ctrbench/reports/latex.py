"""LaTeX for a paper: one `table` per block; requires the package booktabs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ctrbench.analysis.blocks import Block, Entry, Line
from ctrbench.analysis.table import ComparisonTable
from ctrbench.analysis.verdicts import Verdicts
from ctrbench.reports._base import Report
from ctrbench.reports._texts import HEAD, entry_text, verdict_texts

PLUS_MINUS = r"\pm"
_MEANING = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "±": f"${PLUS_MINUS}$",
    "†": r"$\dagger$",
    "…": r"\ldots{}",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    **{sign: f"\\{sign}" for sign in "{}$&#%_"},
}
_SPECIAL = re.compile("|".join(map(re.escape, _MEANING)))


class Latex(Report):
    r"""A fragment for `\input`: the answer, then tables; the first has caption and warnings."""

    def render(self, table: ComparisonTable) -> str:
        """Return the answer and all tables, separated by blank lines."""
        tables = [_table(block, table, first=not n) for n, block in enumerate(table.blocks)]
        tables += [_verdicts(table.verdicts)] if table.verdicts else []
        answer = rf"\noindent {escape(' '.join(line.text for line in table.answer.lines))}"
        return "% requires \\usepackage{booktabs}\n" + "\n\n".join([answer, *tables]) + "\n"


def escape(text: str) -> str:
    r"""Return the text with LaTeX's special characters escaped.

    >>> print(escape("95 % of cluster_id & more"))
    95 \% of cluster\_id \& more
    """
    return _SPECIAL.sub(lambda found: _MEANING[found[0]], text)


def _table(block: Block, table: ComparisonTable, first: bool) -> str:
    caption = [block.title + ".", block.detail, *(table.caption if first else ())]
    notes = [note for note in table.footnotes if note.mark in block.marks]
    under = [f"${_superscript((note.mark,))}$ {escape(note.text)}" for note in notes]
    under += [f"Warning: {escape(warning)}" for warning in table.warnings if first]
    lines = [
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{escape(' '.join(part for part in caption if part))}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        _row(["", *map(escape, table.headers)]),
        r"\midrule",
        *_rows(block.lines),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\smallskip{{\footnotesize {line}}}" for line in under),
        r"\end{table}",
    ]
    return "\n".join(lines)


def _verdicts(verdicts: Verdicts) -> str:
    caption = f"{verdicts.title}. {' '.join(verdicts.reading)}"
    lines = [
        r"\begin{table}[htbp]",
        r"\centering\footnotesize",
        rf"\caption{{{escape(caption)}}}",
        rf"\begin{{tabular}}{{p{{.25\linewidth}}p{{.28\linewidth}}{'r' * len(HEAD[2:])}}}",
        r"\toprule",
        _row([escape(name) for name in HEAD]),
        r"\midrule",
        *(
            _row([r"\raggedright " + escape(line.subject), *map(escape, verdict_texts(line)[1:])])
            for line in verdicts.lines
        ),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def _rows(lines: Sequence[Line]) -> list[str]:
    rows, in_controls = [], False
    for line in lines:
        if line.control and not in_controls:
            rows += [r"\midrule"]
            in_controls = True
        rows.append(_row([escape(line.title), *map(_shown, line.entries)]))
    return rows


def _row(places: Sequence[str]) -> str:
    return f"{' & '.join(places)} \\\\"


def _shown(entry: Entry) -> str:
    marks = _superscript(entry.marks)
    if entry.delta is None:
        return escape(entry_text(entry)) + (f"${marks}$" if marks else "")
    number = entry_text(entry).replace("±", PLUS_MINUS).replace(" [", r"\;[")
    number = rf"\mathbf{{{number}}}" if entry.separable else number
    return f"${number}{marks}$"


def _superscript(marks: Sequence[str]) -> str:
    """Return the marks as a superscript in math mode."""
    joined = ",".join(marks).replace("†", r"\dagger")
    return f"^{{{joined}}}" if marks else ""
