"""Stored records -> one table of paired deltas with all its marks; formats only write it down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from ctrbench.analysis.caption import caption
from ctrbench.analysis.comparison import (
    Arm,
    Arms,
    Comparison,
    Measure,
    TablePlan,
    gather,
)
from ctrbench.analysis.conditions import MARK, differences
from ctrbench.analysis.judging import Influences, Judged, judge
from ctrbench.analysis.verdicts import Verdicts, verdicts
from ctrbench.analysis.warnings import warnings
from ctrbench.plan import Column, Row
from ctrbench.schema import CellRecord
from ctrbench.stats import Delta, Inference, Share, paired_delta

BASELINE = "Baseline"  # its name for people


@dataclass(frozen=True)
class Entry:
    """One place of the table."""

    status: Literal["done", "failed", "missing"]
    delta: Delta | None  # None unless done
    marks: tuple[str, ...] = ()  # of the footnotes that explain it
    hashes: tuple[str, ...] = ()  # of its cells, in the order of seeds, run or not
    share: Share | None = None  # of the attainable gain, in a block of shares
    inference: Inference | None = None  # None where influence values are not stored

    @property
    def separable(self) -> bool:
        """Whether the interval leaves zero out, that of other seeds included."""
        found = self.inference
        if found is None or not found.variance.seed_degrees:
            return False
        return not found.low <= 0 <= found.high


@dataclass(frozen=True)
class Line:
    """A row of a block; one entry per column."""

    row: Row | None  # None: the baseline itself
    reference: Row | None  # a shuffled sibling; None: the baseline
    entries: tuple[Entry, ...]

    @property
    def label(self) -> str:
        """Return the row's name for people."""
        return self.row.label if self.row else BASELINE

    @property
    def against(self) -> str:
        """Return the name of what it is compared with."""
        return self.reference.label if self.reference else BASELINE

    @property
    def control(self) -> bool:
        """Whether it stands below the versions."""
        return self.row is not None and self.row.control is not None

    @property
    def title(self) -> str:
        """Return the first column; it names the sibling where there may be several."""
        return f"{self.label} vs {self.against}" if self.reference else self.label


@dataclass(frozen=True)
class Block:
    """One measure set against one kind of reference, for all rows."""

    title: str
    detail: str  # absolute value of the baseline and the impressions behind it; may be empty
    metric: str
    slice: str  # key; empty: the whole test period
    comparison: Literal["baseline", "shuffled", "attainable"]
    lines: tuple[Line, ...]

    @property
    def marks(self) -> set[str]:
        """Marks of the footnotes the block needs."""
        return {mark for line in self.lines for entry in line.entries for mark in entry.marks}


@dataclass(frozen=True)
class Footnote:
    """What a mark means; several may share one mark."""

    mark: str
    text: str


@dataclass(frozen=True)
class ComparisonTable:
    """A finished table; numbers in percentage points."""

    dataset: str
    caption: tuple[str, ...]
    columns: tuple[Column, ...]
    seeds: tuple[int, ...]
    blocks: tuple[Block, ...]
    verdicts: Verdicts | None  # None: nothing could be judged
    footnotes: tuple[Footnote, ...]
    warnings: tuple[str, ...]

    @property
    def headers(self) -> tuple[str, ...]:
        """Return the columns' names for people."""
        return tuple(column.label for column in self.columns)


def compare(
    plan: TablePlan, records: Mapping[str, CellRecord], influences: Influences | None = None
) -> ComparisonTable:
    """The table of a matrix from whatever of it is stored.

    Args:
        plan: which cell belongs where.
        records: by cell hash; a hash that is not in it was not run.
        influences: of each cell, by slice and metric; without them no interval can be given.
    """
    arms = gather(plan, records)
    judged = judge(plan, arms, influences or {})
    sentences, marked = differences(arms)
    builder = _Builder(plan, arms, judged, marked, numbers={})
    blocks = [block for measure in plan.measures for block in builder.blocks(measure)]
    blocks += [block for metric in plan.metrics for block in builder.shares(Measure(metric))]
    numbered = [Footnote(str(number), text) for text, number in builder.numbers.items()]
    return ComparisonTable(
        dataset=plan.dataset.name,
        caption=caption(plan, arms, judged.family, judged.with_items),
        columns=plan.columns,
        seeds=plan.seeds,
        blocks=tuple(blocks),
        verdicts=verdicts(plan, arms, judged),
        footnotes=(*numbered, *(Footnote(MARK, sentence) for sentence in sentences)),
        warnings=warnings(plan, arms, judged),
    )


@dataclass(frozen=True)
class _Builder:
    """Makes blocks and numbers their footnotes as they come up."""

    plan: TablePlan
    arms: Arms
    judged: Judged
    marked: set[Arm]  # trained under other conditions
    numbers: dict[str, int]  # footnote text -> number

    def blocks(self, measure: Measure) -> Iterator[Block]:
        """The delta against the baseline; that against shuffled siblings where there are any."""
        key = measure.slice.key if measure.slice else ""
        exploratory = " (exploratory)" if measure.slice else ""
        yield Block(
            f"{measure.title}, delta against the baseline, pp{exploratory}",
            _detail(measure, self.arms),
            measure.metric,
            key,
            "baseline",
            (
                self._baseline_line(measure),
                *self._lines(measure, self.arms.against_baseline()),
            ),
        )
        siblings = tuple(self._lines(measure, self.arms.against_siblings()))
        if siblings:
            title = f"{measure.title}, delta against the shuffled sibling, pp{exploratory}"
            yield Block(title, "", measure.metric, key, "shuffled", siblings)

    def shares(self, measure: Measure) -> Iterator[Block]:
        """What part of the attainable gain each cell captures, where the truth is known."""
        ceiling = self.plan.ceiling and self.plan.ceiling.value(measure.metric)
        if ceiling is None:
            return
        lines = [
            Line(row, None, tuple(self._share(comparison, measure) for comparison in line))
            for (row, _), line in _by_line(self.arms.against_baseline())
        ]
        yield Block(
            f"{measure.title}, share of the attainable gain",
            f"The probability that clicks were drawn from reaches {ceiling:.4f}; what it is above "
            "the baseline is attainable. In brackets 95 % intervals (Fieller), each by itself.",
            measure.metric,
            "",
            "attainable",
            tuple(lines),
        )

    def _share(self, comparison: Comparison, measure: Measure) -> Entry:
        arm, baseline = self.arms.arm(comparison), self.arms.reference(comparison)
        share = self.judged.shares.get((comparison, measure))
        notes = list(_failures(arm))
        paired = len(arm.done.keys() & baseline.done.keys())
        if share is None and paired == 1:
            notes.append("One seed has no interval.")
        elif share is None and paired:
            notes.append("The attainable gain is not separable from zero.")
        elif share is not None and not share.defined:
            notes.append("Too few users differ from this share of the ceiling for an interval.")
        return replace(self._place(arm, baseline, notes, share is not None), share=share)

    def _baseline_line(self, measure: Measure) -> Line:
        entries: list[Entry] = []
        for column in self.plan.columns:
            arm = self.arms.baselines[column.trained]
            values = arm.values(measure)
            entry = self._entry(arm, arm, measure, paired_delta(values, values))
            if entry.delta is not None:  # zero by definition, so without an error
                entry = replace(entry, delta=replace(entry.delta, standard_error_pp=None), marks=())
            entries.append(entry)
        return Line(None, None, tuple(entries))

    def _lines(self, measure: Measure, comparisons: Iterable[Comparison]) -> Iterator[Line]:
        """The versions first, then the controls."""
        for (row, reference), line in _by_line(comparisons):
            entries = [
                replace(
                    self._entry(
                        self.arms.arm(one),
                        self.arms.reference(one),
                        measure,
                        self.judged.deltas.get((one, measure)),
                    ),
                    inference=self.judged.get(one, measure),
                )
                for one in line
            ]
            yield Line(row, reference, tuple(entries))

    def _entry(self, arm: Arm, reference: Arm, measure: Measure, delta: Delta | None) -> Entry:
        notes = [*_failures(arm), *_limits(arm, reference, measure, delta, self.plan.seeds)]
        return replace(self._place(arm, reference, notes, delta is not None), delta=delta)

    def _place(self, arm: Arm, reference: Arm, notes: list[str], told: bool) -> Entry:
        """An entry without its number: whether it has one, its marks, its cells."""
        marks = [str(self.numbers.setdefault(note, len(self.numbers) + 1)) for note in notes]
        if told and {arm, reference} & self.marked:
            marks.append(MARK)
        hashes = tuple(arm.hashes[seed] for seed in self.plan.seeds if seed in arm.hashes)
        status = "done" if told else "failed" if arm.failed and not arm.done else "missing"
        return Entry(status, None, tuple(marks), hashes)


def _by_line(
    comparisons: Iterable[Comparison],
) -> Iterable[tuple[tuple[Row, Row | None], list[Comparison]]]:
    """Comparisons by row and reference, each in the order of columns; controls come last."""
    lines: dict[tuple[Row, Row | None], list[Comparison]] = {}
    for one in comparisons:
        lines.setdefault((one.row, one.reference), []).append(one)
    return sorted(lines.items(), key=lambda line: line[0][0].control is not None)


def _failures(arm: Arm) -> Iterator[str]:
    """A sentence per distinct reason for which cells of the arm failed."""
    for reason in dict.fromkeys(record.reason for record in arm.failed.values()):
        seeds = [seed for seed, record in sorted(arm.failed.items()) if record.reason == reason]
        hashes = ", ".join(arm.failed[seed].hash for seed in seeds)
        line = " ".join(reason.split()).rstrip(".")
        yield f"{arm.label}, seed {_listed(seeds)} failed: {line} (cell {hashes})."


def _limits(
    arm: Arm, reference: Arm, measure: Measure, delta: Delta | None, seeds: tuple[int, ...]
) -> Iterator[str]:
    """What an entry cannot say, and why."""
    if delta is not None:
        if len(delta.seeds) < len(seeds):
            yield f"{len(delta.seeds)} of {len(seeds)} seeds: {_listed(delta.seeds)}."
        if len(delta.seeds) == 1 and arm is not reference:
            yield "One seed: how much the difference varies from seed to seed is not known."
    elif not arm.done or not (reference.run or reference.row is None):
        return  # one of the two was not run: the dash says so
    elif arm.values(measure):
        yield "Run, but what it is set against has no finished cell of the same seed."
    elif any(measure.metrics(record) for record in arm.done.values()):
        yield f"{measure.title} is not defined: {measure.of.requires}."
    else:
        yield f"{measure.title} is not among the stored metrics of {arm.label}."


def _detail(measure: Measure, arms: Arms) -> str:
    """Where the deltas start from: the baseline's own value, and the impressions it stands on."""
    values = {arm.label: arm.values(measure).values() for arm in arms.baselines.values()}
    stored = [measure.metrics(record) for arm in arms.all for record in arm.done.values()]
    counts = next((metrics for metrics in stored if metrics is not None), None)
    if counts is None:
        return ""
    absolute = "".join(f"{label} {fmean(own):.4f}; " for label, own in values.items() if own)
    return (
        f"{absolute}{counts.impressions:,} impressions, "
        f"{counts.evaluable_users:,} of {counts.users:,} users evaluable."
    )


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, seeds))
