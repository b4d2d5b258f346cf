"""What a table is asked to show: rows, columns, seeds, and the cell that belongs in each place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ctrbench.schema import CellRecord, DatasetManifest, Metrics
from ctrbench.slices import Slice

Metric = Literal["gauc", "auc"]


@dataclass(frozen=True)
class Row:
    """A version, or a control made from one."""

    label: str
    control: bool = False
    siblings: tuple[str, ...] = ()  # labels of the shuffled rows made from this version


@dataclass(frozen=True)
class Comparison:
    """A matrix as its table sees it; cells by hash, whether they were run or not."""

    dataset: DatasetManifest
    headline: Metric
    columns: tuple[str, ...]  # labels: the mode, and the settings a grid spans
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    cells: Mapping[tuple[str, str, int], str]  # (row label, column label, seed) -> hash
    baselines: Mapping[str, Mapping[int, str]]  # what is special in training -> seed -> hash
    trained: Mapping[str, str] = field(default_factory=dict)  # column -> that; else the first
    slices: tuple[Slice, ...] = ()
    reference: Metrics | None = None  # test metrics of the simple rule a baseline should beat
    ceiling: Metrics | None = None  # of the probability that clicks were drawn from, if known

    repeated: str | None = None  # hash of the A/A arm: the first seed's baseline once more
    margin: float = 0.0005  # a fraction: a loss below it does not matter
    effect: float | None = None  # a fraction: the smallest gain worth knowing of, if any was named
    looks: int = 1  # how often the family is judged while seeds are added

    @property
    def metrics(self) -> tuple[Metric, Metric]:
        """Both metrics, the headline first."""
        return ("gauc", "auc") if self.headline == "gauc" else ("auc", "gauc")

    @property
    def measures(self) -> list[Measure]:
        """What the table shows: both metrics, then the headline on every slice."""
        whole = [Measure(metric) for metric in self.metrics]
        return whole + [Measure(self.headline, slice_) for slice_ in self.slices]


@dataclass(frozen=True)
class Measure:
    """One number of a record: a metric on the test period or on a slice of it."""

    metric: Metric
    slice: Slice | None = None

    @property
    def key(self) -> str:
        """As influence values are stored: the slice, or `test`, and the metric."""
        return f"{self.slice.key if self.slice else 'test'}/{self.metric}"

    @property
    def title(self) -> str:
        """The measure for people."""
        return self.metric.upper() + (f" on {self.slice.title}" if self.slice else "")

    def metrics(self, record: CellRecord) -> Metrics | None:
        """The metrics that hold the measure; None if the record has none for this slice."""
        return record.slices.get(self.slice.key) if self.slice else record.metrics.get("test")

    def value(self, record: CellRecord) -> float | None:
        """The number; None where it is not stored or not defined."""
        metrics = self.metrics(record)
        if metrics is None:
            return None
        return metrics.gauc if self.metric == "gauc" else metrics.auc


@dataclass(frozen=True)
class Arm:
    """The cells of one place in the table, one per seed."""

    label: str
    column: str  # empty: the baseline
    hashes: Mapping[int, str]  # by seed, run or not
    done: Mapping[int, CellRecord]
    failed: Mapping[int, CellRecord]

    @property
    def run(self) -> bool:
        """Whether any of its cells was run to an end, good or bad."""
        return bool(self.done or self.failed)

    def values(self, measure: Measure) -> dict[int, float]:
        """The measure by seed, where it is defined."""
        found = {seed: measure.value(record) for seed, record in self.done.items()}
        return {seed: value for seed, value in found.items() if value is not None}


@dataclass(frozen=True)
class Arms:
    """Every place of the table with what was stored for it."""

    baselines: Mapping[str, Arm]  # by what is special in their training; one, if nothing is
    cells: Mapping[tuple[str, str], Arm]  # (row label, column label)
    trained: Mapping[str, str]  # column -> key of its baseline
    repeated: CellRecord | None = None  # the A/A arm, if it was run

    @property
    def first(self) -> Arm:
        """The baseline of the first training, which the A/A arm repeats."""
        return next(iter(self.baselines.values()))

    @property
    def all(self) -> list[Arm]:
        """The baselines first."""
        return [*self.baselines.values(), *self.cells.values()]

    def baseline(self, column: str) -> Arm:
        """The baseline that was trained as this column was."""
        return self.baselines[self.trained[column]]

    def siblings(self, row: Row) -> list[str]:
        """The row's siblings of which any cell was run."""
        run = {label for (label, _), arm in self.cells.items() if arm.run}
        return [label for label in row.siblings if label in run]


def gather(plan: Comparison, records: Mapping[str, CellRecord]) -> Arms:
    """Put every stored record in its place."""
    cells = {}
    for row in plan.rows:
        for column in plan.columns:
            places = {seed: plan.cells.get((row.label, column, seed)) for seed in plan.seeds}
            hashes = {seed: hash for seed, hash in places.items() if hash is not None}
            cells[row.label, column] = _arm(f"{row.label} / {column}", column, hashes, records)
    repeated = records.get(plan.repeated) if plan.repeated else None
    baselines = {
        trained: _arm(f"Baseline {trained}".rstrip(), "", hashes, records)
        for trained, hashes in plan.baselines.items()
    }
    first = next(iter(baselines))
    trained = {column: plan.trained.get(column, first) for column in plan.columns}
    return Arms(baselines, cells, trained, repeated)


def _arm(
    label: str, column: str, hashes: Mapping[int, str], records: Mapping[str, CellRecord]
) -> Arm:
    run = {seed: records[hash] for seed, hash in hashes.items() if hash in records}
    return Arm(
        label,
        column,
        hashes,
        done={seed: record for seed, record in run.items() if record.status == "done"},
        failed={seed: record for seed, record in run.items() if record.status == "failed"},
    )
