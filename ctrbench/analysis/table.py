"""The table of a matrix: paired deltas with marks and footnotes; report formats render it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from statistics import fmean

from ctrbench.analysis.answer import Answer, answer
from ctrbench.analysis.blocks import Block, Entry, Line
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
from ctrbench.plan import DEFAULT_EFFECT, Column, Row
from ctrbench.schema import CellRecord
from ctrbench.stats import Delta, paired_delta, parse_points


@dataclass(frozen=True)
class Footnote:
    """The text of a mark; several footnotes may share one mark."""

    mark: str
    text: str


@dataclass(frozen=True)
class ComparisonTable:
    """A finished table. A `Delta` is in percentage points; all other numbers are fractions."""

    dataset: str
    caption: tuple[str, ...]
    columns: tuple[Column, ...]
    seeds: tuple[int, ...]
    blocks: tuple[Block, ...]
    answer: Answer
    verdicts: Verdicts | None  # None: nothing could be judged
    footnotes: tuple[Footnote, ...]
    warnings: tuple[str, ...]

    @property
    def headers(self) -> tuple[str, ...]:
        """Return the display names of the columns."""
        return tuple(column.label for column in self.columns)

    def _repr_html_(self) -> str:
        return import_module("ctrbench.reports").render(self, "html", False)


def compare(
    plan: TablePlan, records: Mapping[str, CellRecord], influences: Influences | None = None
) -> ComparisonTable:
    """Return the table of a matrix from its stored records.

    Args:
        plan: What the table shows.
        records: Stored records by cell hash; a missing hash is a cell that was not run.
        influences: Influence values by cell hash and measure key; without them the table has no
            intervals.
    """
    arms = gather(plan, records)
    judged = judge(plan, arms, influences or {})
    sentences, marked = differences(arms)
    builder = _Builder(plan, arms, judged, marked, numbers={})
    blocks = [block for measure in plan.measures for block in builder.blocks(measure)]
    blocks += [block for metric in plan.metrics for block in builder.shares(Measure(metric))]
    numbered = [Footnote(str(number), text) for text, number in builder.numbers.items()]
    effect = parse_points(DEFAULT_EFFECT, "effect") if plan.effect is None else plan.effect
    found = answer(blocks, plan.columns, plan.margin, effect)
    return ComparisonTable(
        dataset=plan.dataset.name,
        caption=caption(plan, arms, judged.family, judged.with_items),
        columns=plan.columns,
        seeds=plan.seeds,
        blocks=tuple(blocks),
        answer=found,
        verdicts=verdicts(plan, arms, judged, found),
        footnotes=(*numbered, *(Footnote(MARK, sentence) for sentence in sentences)),
        warnings=warnings(plan, arms, judged),
    )


@dataclass(frozen=True)
class _Builder:
    """Builds blocks and numbers their footnotes in order of appearance."""

    plan: TablePlan
    arms: Arms
    judged: Judged
    marked: set[Arm]  # trained under other conditions
    numbers: dict[str, int]  # footnote text -> number

    def blocks(self, measure: Measure) -> Iterator[Block]:
        """Yield the block of deltas against the baseline, and against shuffled siblings if any."""
        key = measure.slice.key if measure.slice else ""
        remarks = ["less is better"] * measure.of.less_is_better
        remarks += ["exploratory"] * (measure.slice is not None)
        remark = f" ({', '.join(remarks)})" if remarks else ""
        yield Block(
            f"{measure.title}, delta against the baseline, pp{remark}",
            _detail(measure, self.arms),
            measure.metric,
            key,
            "baseline",
            (
                self._baseline_line(measure),
                *self._lines(measure, self.arms.of_imported()),
                *self._lines(measure, self.arms.against_baseline()),
            ),
        )
        siblings = tuple(self._lines(measure, self.arms.against_siblings()))
        if siblings:
            title = f"{measure.title}, delta against the shuffled sibling, pp{remark}"
            yield Block(title, "", measure.metric, key, "shuffled", siblings)

    def shares(self, measure: Measure) -> Iterator[Block]:
        """Yield the block of shares of the attainable gain, if the true probability is known."""
        ceiling = self.plan.ceiling and self.plan.ceiling.value(measure.metric)
        if ceiling is None or not self.plan.rows:
            return
        lines = [
            Line(row, None, tuple(self._share(comparison, measure) for comparison in line))
            for (row, _), line in _by_line(self.arms.against_baseline())
        ]
        yield Block(
            f"{measure.title}, share of the attainable gain",
            f"The true click probability scores {ceiling:.4f}; its excess over the baseline is the "
            "attainable gain. In brackets: pointwise 95 % confidence intervals (Fieller).",
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
            notes.append("The attainable gain does not differ significantly from zero.")
        elif share is not None and not share.defined:
            notes.append("Too few users contribute to this share for an interval.")
        return replace(self._place(arm, baseline, notes, share is not None), share=share)

    def _baseline_line(self, measure: Measure) -> Line:
        entries: list[Entry] = []
        for column in self.plan.columns:
            arm = self.arms.baselines[column.trained]
            values = arm.values(measure)
            entry = self._entry(arm, arm, measure, paired_delta(values, values))
            if entry.delta is not None:  # zero by definition, without a standard error
                entry = replace(entry, delta=replace(entry.delta, standard_error_pp=None), marks=())
            entries.append(entry)
        return Line(None, None, tuple(entries))

    def _lines(self, measure: Measure, comparisons: Iterable[Comparison]) -> Iterator[Line]:
        """Yield the lines of versions, then those of controls."""
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

    def _place(self, arm: Arm, reference: Arm, notes: list[str], has_number: bool) -> Entry:
        """Return an entry with its status, marks and hashes, but without its number."""
        marks = [str(self.numbers.setdefault(note, len(self.numbers) + 1)) for note in notes]
        if has_number and {arm, reference} & self.marked:
            marks.append(MARK)
        hashes = tuple(arm.hashes[seed] for seed in self.plan.seeds if seed in arm.hashes)
        status = "done" if has_number else "failed" if arm.failed and not arm.done else "missing"
        if arm.row is not None and (arm.row, arm.column) in self.plan.impossible:
            status = "impossible"
        return Entry(status, None, tuple(marks), hashes)


def _by_line(
    comparisons: Iterable[Comparison],
) -> Iterable[tuple[tuple[Row, Row | None], list[Comparison]]]:
    """Return comparisons by row and reference, in the order of columns; controls come last."""
    lines: dict[tuple[Row, Row | None], list[Comparison]] = {}
    for one in comparisons:
        lines.setdefault((one.row, one.reference), []).append(one)
    return sorted(lines.items(), key=lambda line: line[0][0].control is not None)


def _failures(arm: Arm) -> Iterator[str]:
    """Yield a sentence per distinct reason of failed cells of the arm."""
    for reason in dict.fromkeys(record.reason for record in arm.failed.values()):
        seeds = [seed for seed, record in sorted(arm.failed.items()) if record.reason == reason]
        hashes = ", ".join(arm.failed[seed].hash for seed in seeds)
        line = " ".join(reason.split()).rstrip(".")
        yield f"{arm.label}, seed {_listed(seeds)} failed: {line} (cell {hashes})."


def _limits(
    arm: Arm, reference: Arm, measure: Measure, delta: Delta | None, seeds: tuple[int, ...]
) -> Iterator[str]:
    """Yield the limits of an entry, with their reasons."""
    if delta is not None:
        if len(delta.seeds) < len(seeds):
            yield f"{len(delta.seeds)} of {len(seeds)} seeds: {_listed(delta.seeds)}."
        if len(delta.seeds) == 1 and arm is not reference:
            yield "One seed: the seed variance of the difference is unknown."
    elif not arm.done or not (reference.run or reference.row is None):
        return  # one of the two was not run; the table shows a dash
    elif arm.values(measure):
        yield "The reference has no finished cell with the same seed."
    elif any(measure.metrics(record) for record in arm.done.values()):
        yield f"{measure.title} is not defined: {measure.of.requires}."
    else:
        yield f"{measure.title} is not among the stored metrics of {arm.label}."


def _detail(measure: Measure, arms: Arms) -> str:
    """Return the value of the baseline and the number of impressions, as text."""
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
