"""The recommendation of a finished table: a verdict per version and mode, and the remedies.

An arm is better if it beats the baseline and every shuffled sibling that was run. A gain that the
sibling shares is not due to image content.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ctrbench.analysis.blocks import Block, Entry, headline
from ctrbench.metrics import find
from ctrbench.plan import Column, Row
from ctrbench.stats import Inference, need
from ctrbench.stats.power import Need

Kind = Literal["better", "unexplained", "shared", "worse", "none"]
Remedy = Literal["seeds", "users", "neither"]

KINDS: dict[Kind, str] = {  # in the order in which an answer lists them
    "better": "better",
    "unexplained": "gain, image content not decided",
    "shared": "gain not due to image content",
    "worse": "worse",
    "none": "no evidence of an effect",
}
NAMED = 4  # maximum number of arms that one line names


@dataclass(frozen=True)
class Finding:
    """The verdict on one version and mode."""

    row: Row
    column: Column
    kind: Kind
    gain: Inference  # over the baseline
    image: Inference | None  # over the sibling with the lowest limit; None: no sibling was run

    @property
    def label(self) -> str:
        """Return the display name of the arm."""
        return f"{self.row.label} / {self.column.label}"

    @property
    def one_seed(self) -> bool:
        """Whether the variance over seeds is unknown."""
        return not self.gain.variance.seed_degrees

    @property
    def undecided(self) -> Inference | None:
        """Return the difference that more data might decide; None if the verdict is final."""
        if self.kind == "none":
            return self.gain
        return self.image if self.kind == "unexplained" else None

    @property
    def verdict(self) -> str:
        """Return the verdict as text."""
        text = KINDS[self.kind]
        if self.kind == "better" and self.image is None:
            text += " than the baseline; no shuffled sibling was run"
        return f"{text}, on one seed" if self.one_seed else text


@dataclass(frozen=True)
class Remedies:
    """The additional data that an undecided comparison requires."""

    kind: Remedy
    finding: Finding  # the undecided arm with the largest estimate
    effect: float  # a fraction: the smallest effect of interest
    need: Need | None  # None with one seed, from which it cannot be computed


@dataclass(frozen=True)
class AnswerLine:
    """One sentence of the answer, with the arms it concerns."""

    about: Kind | Literal["ship", "decide", "missing"]
    findings: tuple[Finding, ...]
    text: str


@dataclass(frozen=True)
class Answer:
    """The findings of all judged arms, with the recommendation."""

    metric: str  # display name
    findings: tuple[Finding, ...]  # in the order of the table
    missing: int  # arms without a verdict because cells were not run or failed
    unjudged: int  # arms without a verdict although their cells are stored
    compared: int  # arms of the table, judged or not
    ship: Finding | None
    remedies: Remedies | None  # None if an arm can be shipped or no arm is undecided

    def of(self, kind: Kind) -> tuple[Finding, ...]:
        """Return the findings of one kind, the largest estimate first."""
        found = [one for one in self.findings if one.kind == kind]
        return tuple(sorted(found, key=lambda one: -one.gain.estimate))

    def finding(self, row: Row, column: Column) -> Finding | None:
        """Return the finding on one arm; None for a control and for an arm without a verdict.

        Args:
            row: The row of the arm.
            column: The column of the arm.
        """
        return self._by_arm.get((row, column))

    @cached_property
    def _by_arm(self) -> dict[tuple[Row, Column], Finding]:
        return {(one.row, one.column): one for one in self.findings}

    def above_zero(self, row: Row, column: Column, reference: Row | None) -> str:
        """Return what an interval above zero means: `better` only if it holds for both deltas.

        Args:
            row: The row of the arm.
            column: The column of the arm.
            reference: The sibling that the arm is compared with; None: the baseline.
        """
        finding = self.finding(row, column)
        if finding is not None and finding.kind == "better":
            return KINDS["better"]
        if reference is not None:
            return "above its sibling"
        return KINDS[finding.kind] if finding is not None else "above the baseline"

    @property
    def lines(self) -> tuple[AnswerLine, ...]:
        """Return at most six sentences, the recommendation first."""
        lines = [self._recommendation()]
        if better := self.of("better"):
            lines.append(AnswerLine("better", better, self._better(better)))
        gains = (*self.of("shared"), *self.of("unexplained"))
        if gains:
            kinds: dict[Kind, None] = dict.fromkeys(one.kind for one in gains)
            text = " ".join(f"{_named(self.of(kind))}: {KINDS[kind]}." for kind in kinds)
            lines.append(AnswerLine(gains[0].kind, gains, text))
        if worse := self.of("worse"):
            text = f"{_named(worse)}: worse than the baseline."
            lines.append(AnswerLine("worse", worse, text))
        if none := self.of("none"):
            text = f"{_named(none)}: no evidence of an effect ({_detectable(none)})."
            lines.append(AnswerLine("none", none, text))
        without: list[str] = []
        if self.missing:
            have = "version and mode has" if self.missing == 1 else "versions and modes have"
            without.append(f"{self.missing} {have} no verdict yet: cells are missing or failed.")
        if self.unjudged and self.findings:
            are = "version and mode" if self.unjudged == 1 else "versions and modes"
            without.append(f"{self.unjudged} {are} cannot be judged; the warnings state why.")
        if without:
            lines.append(AnswerLine("missing", (), " ".join(without)))
        return tuple(lines)

    def _recommendation(self) -> AnswerLine:
        if self.ship is not None:
            several = len(self.of("better")) > 1
            why = ", the largest supported gain" if several else ", the only supported gain"
            return AnswerLine("ship", (self.ship,), f"Ship {self.ship.label}{why}.")
        if not self.findings:
            text = "No comparison can be judged yet: run the benchmark file."
            if not self.compared:
                text = "The benchmark file compares no version; the table shows the baseline."
            if self.unjudged and not self.missing:
                text = "No comparison can be judged; the warnings state why."
            return AnswerLine("ship", (), text)
        text = "No version and mode is supported."
        better = self.of("better")
        if better:
            text += " One seed gives no estimate of seed variance; more seeds are required."
        elif self.remedies is not None:
            text += f" {_remedy(self.remedies)}"
        return AnswerLine("ship", better, text)

    def _better(self, better: Sequence[Finding]) -> str:
        first, rest = better[0], better[1:]
        text = f"{first.label}: better. {self.metric} {_points(first.gain)} over the baseline"
        text += (
            f", {_points(first.image)} over shuffled vectors."
            if first.image
            else ("; no shuffled sibling was run, so the cause of the gain is not known.")
        )
        return text + (f" Also better: {_named(rest)}." if rest else "")


def answer(
    blocks: Sequence[Block], columns: tuple[Column, ...], margin: float, effect: float
) -> Answer:
    """Return the recommendation of a table, based on its headline metric.

    Args:
        blocks: The blocks of the table, those of the headline metric first.
        columns: The columns of the blocks.
        margin: >= 0, a fraction; a smaller loss is acceptable.
        effect: > 0, a fraction; the smallest effect of interest.
    """
    gains, images = headline(blocks, "baseline"), headline(blocks, "shuffled")
    found: list[Finding] = []
    missing, unjudged, compared, family = 0, 0, 0, 0
    for row, column, entry in _entries(columns, gains):
        if row.control is not None:
            continue
        compared += 1
        siblings = [
            (line.reference, one.inference)
            for line in (images.lines if images else ())
            if line.row == row and line.reference is not None
            for one in [line.entries[columns.index(column)]]
            if one.inference is not None
        ]
        gain = entry.inference
        family += (gain is not None) + len(siblings)
        if gain is None:
            missing += entry.status not in ("done", "impossible")
            unjudged += entry.status == "done"
            continue
        image = min((one for _, one in siblings), key=lambda one: one.low, default=None)
        of_siblings = [
            other_entry.inference
            for other, place, other_entry in _entries(columns, gains)
            if place == column and other in [reference for reference, _ in siblings]
        ]
        shared = any(one is not None and one.low > 0 for one in of_siblings)
        kind = _kind(gain, image, shared, margin)
        found.append(Finding(row, column, kind, gain, image))
    metric = find(blocks[0].metric).title
    return _finished(metric, tuple(found), (missing, unjudged, compared), effect, family)


def _entries(
    columns: tuple[Column, ...], block: Block | None
) -> Iterable[tuple[Row, Column, Entry]]:
    for line in block.lines if block else ():
        for column, entry in zip(columns, line.entries, strict=True):
            if line.row is not None and not line.imported:
                yield line.row, column, entry


def _kind(gain: Inference, image: Inference | None, shared: bool, margin: float) -> Kind:
    verdict = gain.verdict(margin)
    if verdict == "worse":
        return "worse"
    if verdict != "better":
        return "none"
    if image is None or image.low > 0:
        return "better"
    return "shared" if shared else "unexplained"


def _finished(
    metric: str,
    found: tuple[Finding, ...],
    counts: tuple[int, int, int],
    effect: float,
    family: int,
) -> Answer:
    better = [one for one in found if one.kind == "better" and not one.one_seed]
    ship = max(better, key=lambda one: one.gain.estimate, default=None)
    remedies = None if ship else _remedies(found, effect, family)
    return Answer(metric, found, *counts, ship, remedies)


def _remedies(found: Iterable[Finding], effect: float, family: int) -> Remedies | None:
    """Return the remedies for the undecided arm with the largest estimate."""
    open_ones = [(one, inference) for one in found if (inference := one.undecided) is not None]
    if not open_ones:
        return None
    finding, inference = max(open_ones, key=lambda pair: pair[1].estimate)
    if max(one.smallest_effect for _, one in open_ones) <= effect:
        return Remedies("neither", finding, effect, None)
    if finding.one_seed:
        return Remedies("seeds", finding, effect, None)
    required = need(inference, effect, max(family, 1))
    return Remedies("users" if required.hidden else "seeds", finding, effect, required)


def _remedy(remedies: Remedies) -> str:
    effect, name = f"{100 * remedies.effect:g} pp", remedies.finding.label
    if remedies.kind == "neither":
        return f"The run could detect {effect}: neither more seeds nor more users are required."
    if remedies.need is None:
        return "More seeds are required: one seed gives no estimate of seed variance."
    if remedies.kind == "users":
        return (
            f"More test users are required: about {_times(remedies.need.users)} as many to detect "
            f"{effect} ({name}); more seeds alone do not suffice."
        )
    if remedies.need.seeds is None:
        return f"No practical number of seeds detects {effect}; more test users are required."
    return f"More seeds are required: about {remedies.need.seeds} to detect {effect} ({name})."


def _times(users: float) -> str:
    return f"{users:.1f} times" if users < 10 else f"{float(f'{users:.2g}'):,.0f} times"


def _detectable(findings: Sequence[Finding]) -> str:
    effects = [one.gain.smallest_effect for one in findings]
    low, high = (f"{100 * one:.2f}" for one in (min(effects), max(effects)))
    text = low if low == high else f"{low} to {high}"
    return f"smallest effect this run could detect: {text} pp"


def _named(findings: Sequence[Finding]) -> str:
    names = ", ".join(one.label for one in findings[:NAMED])
    more = len(findings) - NAMED
    return f"{names} and {more} more" if more > 0 else names


def _points(inference: Inference) -> str:
    estimate, low, high = (
        f"{100 * one:+.2f}" for one in (inference.estimate, inference.low, inference.high)
    )
    return f"{estimate} pp [{low}, {high}]"
