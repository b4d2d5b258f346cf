"""Plain text of at most 100 characters per line, for a terminal, a pipe or an e-mail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import shorten, wrap

from ctrbench.analysis.blocks import Block, Entry, headline
from ctrbench.analysis.table import ComparisonTable
from ctrbench.analysis.verdicts import Verdicts
from ctrbench.reports._base import Report
from ctrbench.reports._texts import HEAD, entry_text, verdict_texts

WIDTH = 100
LABEL_WIDTH = 30  # maximum width of the first column; longer labels are wrapped
GAP = "  "
WARNINGS = 3  # lines of the short form
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Text(Report):
    """Aligned columns; columns that do not fit continue in another part below."""

    def brief(self, table: ComparisonTable) -> str:
        """Return the answer, the headline deltas and a line per warning; wraps no answer."""
        blocks = [headline(table.blocks, "baseline"), headline(table.blocks, "shuffled")]
        shown = [block for block in blocks if block is not None]
        parts = ["\n".join(line.text for line in table.answer.lines)]
        parts += ["\n".join(_block(block, table.headers)) for block in shown]
        marks = {mark for block in shown for mark in block.marks}
        notes = [
            _shortened(note.text, _superscript((note.mark,)) + " ")
            for note in table.footnotes
            if note.mark in marks
        ]
        alarms = [_shortened(warning, "Warning: ") for warning in table.warnings[:WARNINGS]]
        if (more := len(table.warnings) - WARNINGS) > 0:
            alarms.append(f"{more} more warning{'s' if more > 1 else ''}: --full")
        parts += ["\n".join(_legend(shown)), "\n".join(notes), "\n".join(alarms)]
        return "\n\n".join(part for part in parts if part) + "\n"

    def render(self, table: ComparisonTable) -> str:
        """Return answer, caption, blocks, verdicts, footnotes and warnings, with blank lines."""
        parts = ["\n".join(part for line in table.answer.lines for part in _wrapped(line.text))]
        parts += ["\n".join(_wrapped(" ".join(table.caption)))]
        parts += ["\n".join(_block(block, table.headers)) for block in table.blocks]
        parts += ["\n".join(_verdicts(table.verdicts))] if table.verdicts else []
        notes = [_wrapped(note.text, _superscript((note.mark,)) + " ") for note in table.footnotes]
        alarms = [_wrapped(warning, "Warning: ") for warning in table.warnings]
        parts += ["\n".join(line for note in group for line in note) for group in (notes, alarms)]
        return "\n\n".join(part for part in parts if part) + "\n"


def _legend(blocks: Sequence[Block]) -> Iterator[str]:
    """Yield what brackets and stars mean, if the blocks contain any."""
    entries = [entry for block in blocks for line in block.lines for entry in line.entries]
    if any(entry.inference is not None for entry in entries):
        yield "In brackets: 95 % confidence intervals. *: the interval excludes zero."


def _shortened(text: str, first: str = "") -> str:
    """Return one line of at most `WIDTH` characters."""
    return first + shorten(text, WIDTH - len(first), placeholder=" ... (--full)")


def _wrapped(text: str, first: str = "") -> list[str]:
    return wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first))


def _block(block: Block, columns: Sequence[str]) -> Iterator[str]:
    yield from _wrapped(block.title)
    yield from _wrapped(block.detail)
    labels = [wrap(line.title, LABEL_WIDTH) for line in block.lines]
    label_width = max([len("controls"), *(len(part) for label in labels for part in label)])
    made = [
        _column(name, [line.entries[position] for line in block.lines])
        for position, name in enumerate(columns)
    ]
    for part in _parts(made, WIDTH - label_width):
        height = max(len(header) for header, _ in part)
        for row in range(height):
            places = [([""] * (height - len(header)) + header)[row] for header, _ in part]
            yield _line("", label_width, places, part)
        rule = label_width + sum(len(GAP) + _width(column) for column in part)
        yield "─" * rule
        in_controls = False
        for row, (line, label) in enumerate(zip(block.lines, labels, strict=True)):
            if line.control and not in_controls:
                yield "controls ".ljust(rule, "─")
                in_controls = True
            yield _line(label[0], label_width, [cells[row] for _, cells in part], part)
            yield from label[1:]


def _verdicts(verdicts: Verdicts) -> Iterator[str]:
    """Yield the lines of each verdict; words are wrapped, and numbers are on its first line."""
    yield verdicts.title
    numbers = [verdict_texts(line)[2:] for line in verdicts.lines]
    widths = [max(map(len, column)) for column in zip(HEAD[2:], *numbers, strict=True)]
    words = WIDTH - sum(len(GAP) + width for width in widths) - len(GAP)
    subject_width = min(max(len(line.subject) for line in verdicts.lines), words // 2)
    verdict_width = min(max(len(line.verdict) for line in verdicts.lines), words - subject_width)
    for places in (HEAD, *(verdict_texts(line) for line in verdicts.lines)):
        subject = wrap(places[0], subject_width)
        verdict = wrap(places[1], verdict_width)
        right = [place.rjust(width) for place, width in zip(places[2:], widths, strict=True)]
        for row in range(max(len(subject), len(verdict))):
            parts = [
                (subject[row] if row < len(subject) else "").ljust(subject_width),
                (verdict[row] if row < len(verdict) else "").ljust(verdict_width),
                *(right if row == 0 else ()),
            ]
            yield GAP.join(parts).rstrip()
        if places is HEAD:
            yield "─" * (subject_width + verdict_width + len(GAP) + WIDTH - words - len(GAP))
    yield from _wrapped(" ".join(verdicts.reading))


TextColumn = tuple[list[str], list[str]]  # lines of the header, texts of the rows; equal widths


def _column(name: str, entries: Sequence[Entry]) -> TextColumn:
    """Return a column whose numbers are right-aligned, with their marks after them."""
    number = max(len(entry_text(entry)) for entry in entries)
    mark = max(len(_marks(entry)) for entry in entries)
    cells = [entry_text(entry).rjust(number) + _marks(entry).ljust(mark) for entry in entries]
    words = name.split(" ")
    width = max([number + mark, *map(len, words)])
    header = wrap(name, width, break_long_words=False, break_on_hyphens=False)
    return [line.rjust(width) for line in header], [cell.rjust(width) for cell in cells]


def _width(column: TextColumn) -> int:
    return len(column[0][0])


def _parts(columns: Sequence[TextColumn], room: int) -> Iterator[list[TextColumn]]:
    """Yield the columns in as few parts as possible, each at most `room` wide."""
    part: list[TextColumn] = []
    for column in columns:
        if part and sum(len(GAP) + _width(c) for c in [*part, column]) > room:
            yield part
            part = []
        part.append(column)
    yield part


def _line(label: str, label_width: int, places: Sequence[str], part: Sequence[TextColumn]) -> str:
    cells = [place.rjust(_width(column)) for place, column in zip(places, part, strict=True)]
    return GAP.join([label.ljust(label_width), *cells]).rstrip()


def _marks(entry: Entry) -> str:
    return "*" * entry.separable + _superscript(entry.marks)


def _superscript(marks: Sequence[str]) -> str:
    return ",".join(marks).translate(_SUPERSCRIPT)
