"""The plan of a table (rows, columns, seeds and cells), and the stored arms of each place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ctrbench import controls, metrics
from ctrbench.plan import Column, Row
from ctrbench.schema import CellRecord, DatasetManifest, Metrics
from ctrbench.slices import Slice


@dataclass(frozen=True)
class Comparison:
    """One place of a table and its reference; together with a measure, the key of a result."""

    row: Row
    column: Column
    reference: Row | None = None  # a shuffled sibling; None: the baseline of the same training

    @property
    def control(self) -> bool:
        """Whether the compared row is a control."""
        return self.row.control is not None

    @property
    def label(self) -> str:
        """Return the display name of the arm."""
        return arm_label(self.row, self.column)

    @property
    def title(self) -> str:
        """Return the display name of the comparison."""
        return f"{self.label} against {self.against}"

    @property
    def against(self) -> str:
        """Return the display name of the reference."""
        return self.reference.label if self.reference else "Baseline"

    def plain(self) -> dict[str, str]:
        """Return the names that identify the comparison in the rows of a JSON table."""
        return {"row": self.row.label, "column": self.column.label, "against": self.against}


def arm_label(row: Row, column: Column) -> str:
    """Return the display name of an arm; imported predictions have no mode.

    Args:
        row: The row of the arm.
        column: The column of the arm.
    """
    if row.imported:
        return row.label
    return f"{row.label} / {column.label}"


@dataclass(frozen=True)
class TablePlan:
    """A matrix as its table shows it, with the hashes of all cells, stored or not."""

    dataset: DatasetManifest
    headline: str  # name of a judged metric
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    cells: Mapping[tuple[Row, Column, int], str]  # by place and seed -> hash
    baselines: Mapping[str, Mapping[int, str]]  # `Column.trained` -> seed -> hash
    slices: tuple[Slice, ...] = ()
    reference: Metrics | None = None  # test metrics of a simple model that a baseline should beat
    ceiling: Metrics | None = None  # test metrics of the true click probability, if known

    # imported predictions -> hashes of their cells; seed i of them is paired with seed i of `seeds`
    imported: Mapping[Row, tuple[str, ...]] = field(default_factory=dict[Row, tuple[str, ...]])
    repeated: str | None = None  # hash of the A/A arm: the first seed's baseline once more
    margin: float = 0.0005  # a fraction; a smaller loss is acceptable
    effect: float | None = None  # a fraction, the smallest effect of interest; None: not set
    impossible: frozenset[tuple[Row, Column]] = frozenset()  # a mode of vectors on codes
    requested: tuple[str, ...] = ()  # names of further metrics that the table shows
    looks: int = 1  # number of planned analyses while seeds are added
    # by version with several vector fields: the one that modes read if they name none
    first_fields: Mapping[str, str] = field(default_factory=dict[str, str])

    def siblings(self, row: Row) -> list[Row]:
        """Return the shuffled rows made from the version of a row; a control has none."""
        return [
            other
            for other in self.rows
            if row.control is None
            and other.version == row.version
            and other.control is not None
            and controls.is_sibling(other.control)
        ]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Return the names of the judged metrics, the headline first."""
        others = (one.name for one in metrics.judged() if one.name != self.headline)
        return (self.headline, *others)

    @property
    def measures(self) -> list[Measure]:
        """Return all metrics on the test period, then headline and requested ones on slices."""
        whole = [Measure(metric) for metric in (*self.metrics, *self.requested)]
        sliced = (self.headline, *self.requested)
        return whole + [Measure(metric, slice_) for metric in sliced for slice_ in self.slices]


@dataclass(frozen=True)
class Measure:
    """A metric on the test period or on a slice of it."""

    metric: str  # name of a judged or requested metric
    slice: Slice | None = None

    @property
    def of(self) -> metrics.Metric:
        """Return the metric."""
        return metrics.find(self.metric)

    @property
    def key(self) -> str:
        """Return the key of stored influence values: the slice, or `test`, and the metric."""
        return f"{self.slice.key if self.slice else 'test'}/{self.metric}"

    @property
    def title(self) -> str:
        """Return the display name of the measure."""
        return self.of.title + (f" on {self.slice.title}" if self.slice else "")

    def metrics(self, record: CellRecord) -> Metrics | None:
        """Return the metrics of a record on this slice; None if it has none."""
        return record.slices.get(self.slice.key) if self.slice else record.metrics.get("test")

    def value(self, record: CellRecord) -> float | None:
        """Return the value of the measure; None if it is not stored or not defined."""
        stored = self.metrics(record)
        return None if stored is None else stored.value(self.metric)


@dataclass(frozen=True, eq=False)
class Arm:
    """The cells of one place of the table, one per seed. Arms compare by identity."""

    row: Row | None  # None: the baseline
    column: Column | None
    trained: str  # training settings that differ between columns
    hashes: Mapping[int, str]  # by seed, stored or not
    done: Mapping[int, CellRecord]
    failed: Mapping[int, CellRecord]

    @property
    def label(self) -> str:
        """Return the display name of the arm."""
        if self.row is None or self.column is None:
            return f"Baseline {self.trained}".rstrip()
        return arm_label(self.row, self.column)

    @property
    def run(self) -> bool:
        """Whether any of its cells finished or failed."""
        return bool(self.done or self.failed)

    def values(self, measure: Measure) -> dict[int, float]:
        """Return the measure by seed, without seeds on which it is not defined."""
        found = {seed: measure.value(record) for seed, record in self.done.items()}
        return {seed: value for seed, value in found.items() if value is not None}


@dataclass(frozen=True)
class Arms:
    """All arms of the table, with their comparisons."""

    baselines: Mapping[str, Arm]  # by `Column.trained`; one if all columns share training settings
    cells: Mapping[tuple[Row, Column], Arm]
    comparisons: tuple[Comparison, ...]  # with baselines, and with siblings that were run
    repeated: CellRecord | None = None  # the A/A cell, if it was run
    # imported predictions, one arm per column, because each column has its baseline
    imported: Mapping[tuple[Row, Column], Arm] = field(
        default_factory=dict[tuple[Row, Column], Arm]
    )

    @property
    def first(self) -> Arm:
        """Return the first baseline, which the A/A cell repeats."""
        return next(iter(self.baselines.values()))

    @property
    def all(self) -> list[Arm]:
        """Return all trained arms, the baselines first."""
        return [*self.baselines.values(), *self.cells.values()]

    def arm(self, comparison: Comparison) -> Arm:
        """Return the compared arm."""
        place = comparison.row, comparison.column
        return self.imported[place] if comparison.row.imported else self.cells[place]

    def reference(self, comparison: Comparison) -> Arm:
        """Return the reference arm."""
        if comparison.reference is None:
            return self.baselines[comparison.column.trained]
        return self.cells[comparison.reference, comparison.column]

    def against_baseline(self) -> list[Comparison]:
        """Return the comparisons with baselines."""
        return [one for one in self.comparisons if one.reference is None]

    def of_imported(self) -> list[Comparison]:
        """Return the comparisons of imported predictions with baselines, column by column."""
        return [Comparison(row, column) for row, column in self.imported]

    def against_siblings(self) -> list[Comparison]:
        """Return the comparisons with shuffled siblings."""
        return [one for one in self.comparisons if one.reference is not None]


def gather(plan: TablePlan, records: Mapping[str, CellRecord]) -> Arms:
    """Return the arms of a table with their stored records and comparisons.

    Args:
        plan: What the table shows.
        records: Stored records by cell hash.
    """
    cells: dict[tuple[Row, Column], Arm] = {}
    for row in plan.rows:
        for column in plan.columns:
            places = {seed: plan.cells.get((row, column, seed)) for seed in plan.seeds}
            hashes = {seed: hash for seed, hash in places.items() if hash is not None}
            done, failed = _by_status(hashes, records)
            cells[row, column] = Arm(row, column, column.trained, hashes, done, failed)
    baselines = {
        trained: Arm(None, None, trained, hashes, *_by_status(hashes, records))
        for trained, hashes in plan.baselines.items()
    }
    run = {row for (row, _), arm in cells.items() if arm.run}
    comparisons = [
        Comparison(row, column, reference)
        for row in plan.rows
        for column in plan.columns
        for reference in (None, *(other for other in plan.siblings(row) if other in run))
    ]
    repeated = records.get(plan.repeated) if plan.repeated else None
    imported: dict[tuple[Row, Column], Arm] = {}
    for row, hashes in plan.imported.items():
        paired = dict(zip(plan.seeds, hashes, strict=False))
        for column in plan.columns:
            parts = _by_status(paired, records)
            imported[row, column] = Arm(row, column, column.trained, paired, *parts)
    return Arms(baselines, cells, tuple(comparisons), repeated, imported)


def _by_status(
    hashes: Mapping[int, str], records: Mapping[str, CellRecord]
) -> tuple[dict[int, CellRecord], dict[int, CellRecord]]:
    """Return the finished and the failed cells by seed."""
    run = {seed: records[hash] for seed, hash in hashes.items() if hash in records}
    done, failed = (
        {seed: record for seed, record in run.items() if record.status == status}
        for status in ("done", "failed")
    )
    return done, failed
