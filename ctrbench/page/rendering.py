"""A page as HTML: the template, its style and its script in one file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ctrbench import __version__, figures
from ctrbench.analysis.answer import KINDS, Finding
from ctrbench.analysis.blocks import Block, Entry, Line, headline
from ctrbench.analysis.shown import Shown, environments, settings_of
from ctrbench.page.gathering import Page
from ctrbench.page.thumbnails import plain
from ctrbench.plan import PROTOCOL
from ctrbench.reports import entry_text

if TYPE_CHECKING:
    from markupsafe import Markup

    from ctrbench.plan import Column

LONGEST = 4000  # characters of a sentence or a name
POLICY = (  # the browser blocks every external request
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)


@dataclass(frozen=True)
class Number:
    """A number as text, and at full precision for sorting and for saved tables."""

    text: str
    value: float | None


@dataclass(frozen=True)
class HeadlineRow:
    """One line of the headline table."""

    version: str
    mode: str
    control: bool
    kind: str  # key of the verdict; filters use it
    verdict: str
    numbers: tuple[Number, ...]


@dataclass(frozen=True)
class Drawn:
    """One figure of the page, or the reason why there is none."""

    name: str
    title: str
    caption: str
    lacks: str
    tall: bool
    svg: Markup | None


@dataclass(frozen=True)
class ArmCells:
    """The cells of one arm, as a row of the table of cells."""

    label: str
    seeds: str
    seconds: float
    memory_mb: float
    hashes: str


def render(page: Page) -> str:
    """Return the page; the same content gives the same text.

    Args:
        page: The gathered content.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("ctrbench.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = lambda text: plain(str(text), LONGEST)
    environment.filters["prose"] = _prose
    shown = page.shown
    folder = files("ctrbench.page")
    style, script = (
        Markup(folder.joinpath(name).read_text(encoding="utf-8"))
        for name in ("page.css", "page.js")
    )
    return environment.get_template("page.html").render(
        page=page,
        shown=shown,
        answer=shown.answer,
        headline=tuple(_headline_rows(shown)),
        headings=_headings(shown),
        kinds=KINDS,
        drawn=tuple(_drawn(shown)),
        blocks=shown.table.blocks,
        entry_text=entry_text,
        full=_full,
        trained=tuple(_trained(page)),
        environments=environments(page.records),
        settings=settings_of(page.records),
        protocol=PROTOCOL,
        program=__version__,
        policy=POLICY,
        style=style,
        script=script,
    )


def _prose(text: str) -> Markup:
    """Return a sentence as HTML; text between backticks becomes code."""
    from markupsafe import Markup, escape

    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(plain(text, LONGEST)))))


def _headings(shown: Shown) -> tuple[str, ...]:
    over = f"{shown.metric}, pp"
    names = [f"over baseline: {over}", "low", "high"]
    if headline(shown.table.blocks, "shuffled"):
        names += [f"over sibling: {over}", "low", "high"]
    return (*names, "detectable, pp", "p", "seeds")


def _headline_rows(shown: Shown) -> Iterator[HeadlineRow]:
    gains, images = (
        headline(shown.table.blocks, "baseline"),
        headline(shown.table.blocks, "shuffled"),
    )
    findings = {(one.row, one.column): one for one in shown.answer.findings}
    for line in gains.lines if gains else ():
        for at, (column, entry) in enumerate(zip(shown.table.columns, line.entries, strict=True)):
            if line.row is None or entry.status == "impossible":
                continue
            if line.imported and at:
                continue  # the other columns repeat it, unless their trainings differ
            finding = findings.get((line.row, column))
            kind, verdict = _verdict(line, entry, finding)
            numbers = _delta(entry)
            if images is not None:
                numbers += _delta(_sibling(images, line, at))
            numbers += _rest(entry)
            mode = "" if line.imported else column.label
            yield HeadlineRow(line.label, mode, line.control, kind, verdict, tuple(numbers))


def _verdict(line: Line, entry: Entry, finding: Finding | None) -> tuple[str, str]:
    if finding is not None:
        return finding.kind, finding.verdict
    if entry.status != "done":
        return "missing", "failed" if entry.status == "failed" else "not stored"
    if not line.control and not line.imported:
        return "missing", "not judged"
    what = "imported" if line.imported else "control"
    return "control", f"{what}: its interval excludes zero" if entry.separable else what


def _sibling(images: Block, line: Line, at: int) -> Entry | None:
    """Return the comparison with the sibling whose interval has the lowest lower limit."""
    found = [other.entries[at] for other in images.lines if other.row == line.row]
    judged = [entry for entry in found if entry.inference is not None]
    return min(judged or found, key=_low, default=None)


def _low(entry: Entry) -> float:
    return entry.inference.low if entry.inference else 0.0


def _delta(entry: Entry | None) -> list[Number]:
    inference = entry.inference if entry else None
    mean = entry.delta.mean_pp if entry and entry.delta else None
    ends = [None, None] if inference is None else [100 * inference.low, 100 * inference.high]
    return [_points(value) for value in (mean, *ends)]


def _points(value: float | None) -> Number:
    if value is None:
        return Number("–", None)
    return Number(f"{value:+.2f}" if abs(value) >= 0.005 else "0.00", value)


def _rest(entry: Entry) -> list[Number]:
    inference, seeds = entry.inference, len(entry.delta.seeds) if entry.delta else 0
    if inference is None:
        return [Number("–", None), Number("–", None), Number(str(seeds), seeds)]
    effect, p = 100 * inference.smallest_effect, inference.p_value
    return [
        Number(f"{effect:.2f}", effect),
        Number(f"{p:.3f}" if p >= 0.001 else "<.001", p),
        Number(str(seeds), seeds),
    ]


def _full(entry: Entry) -> str:
    """Return the number at full precision for sorting and saved tables; empty if missing."""
    if entry.share is not None:
        return repr(entry.share.value)
    return "" if entry.delta is None else repr(entry.delta.mean_pp)


def _drawn(shown: Shown) -> Iterator[Drawn]:
    from markupsafe import Markup

    made = sorted(((name, figures.figure(name)) for name in figures.kinds()), key=_place)
    for name, kind in made:
        lacks = kind.lacks(shown)
        drawing = None if lacks else Markup(figures.svg(kind, shown, f"figure-{name}"))
        caption = "" if lacks else kind.caption(shown)
        yield Drawn(name, kind.title, caption, lacks, kind.tall, drawing)


def _place(named: tuple[str, figures.Figure]) -> tuple[int, str]:
    return named[1].order, named[0]


def _trained(page: Page) -> Iterator[ArmCells]:
    matrix = page.matrix
    places: list[tuple[Any, Column]] = [
        *((None, column) for column in matrix.columns),
        *matrix.places(),
    ]
    seen = set()
    for row, column in places:
        cells = [matrix.cell(row, column, seed) for seed in matrix.file.seeds]
        stored = [page.records[cell.hash] for cell in cells if cell.hash in page.records]
        key = tuple(record.hash for record in stored)
        if not stored or key in seen:
            continue
        seen.add(key)
        name = f"{row.label} / {column.label}" if row else f"baseline {column.trained}".rstrip()
        yield ArmCells(
            name,
            ", ".join(str(record.cell.seed) for record in stored),
            sum(sum(record.seconds.values()) for record in stored),
            max(record.peak_memory_bytes for record in stored) / 1e6,
            " ".join(record.hash for record in stored),
        )
