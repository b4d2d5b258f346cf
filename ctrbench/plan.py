"""WHAT is compared: the settings, rows, columns and cells of a checked benchmark file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ctrbench.errors import ConfigError
from ctrbench.injection import BASELINE, Injection, load_mode
from ctrbench.schema import Cell, Control, DatasetManifest, Frozen, VersionManifest
from ctrbench.settings import (
    BatchSize,
    Count,
    LearningRate,
    ModelSettings,
    RateFactor,
    Seed,
    TrainingSettings,
)
from ctrbench.slices import Slice
from ctrbench.stats import parse_points

PROTOCOL = 4  # raised when the same cell would give a different result; a golden test checks it
MOST_CELLS = 5_000  # of a matrix; a thousand cells take days, and a larger number is a mistake

Seeds = Annotated[tuple[Seed, ...], Field(min_length=1)]
Modes = Annotated[  # name -> settings; a list spans a grid
    dict[str, dict[str, Any] | None], Field(min_length=1)
]
Versions = Annotated[tuple[str, ...], Field(min_length=1)]


def _points(text: str) -> str:
    try:
        parse_points(text, "a difference")
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return text


Points = Annotated[str, AfterValidator(_points)]  # 0.05pp


def _effect(text: str) -> str:
    if parse_points(text, "an effect") == 0:
        raise ValueError("an effect of 0 cannot be detected; give a positive effect")
    return text


Effect = Annotated[Points, AfterValidator(_effect)]


def _spanned(value: Any) -> Any:
    """Expand lists into a grid: `{epochs: [1, 2]}` -> `[{epochs: 1}, {epochs: 2}]`."""
    if not isinstance(value, dict):
        return value if isinstance(value, tuple) else [value]
    grid = {key: one if isinstance(one, list) else [one] for key, one in value.items()}
    for key, values in grid.items():
        if not values:
            raise ValueError(f"{key} is an empty list")
        if len(set(map(repr, values))) < len(values):
            raise ValueError(f"{key} has a duplicate value")
    points = math.prod(map(len, grid.values()))
    if points > MOST_CELLS:
        raise ValueError(too_many(points, "trainings"))
    return [dict(zip(grid, point, strict=True)) for point in product(*grid.values())]


Trainings = Annotated[tuple[TrainingSettings, ...], BeforeValidator(_spanned)]


class ControlRequest(Control):
    """A control, and the versions from which it is made."""

    versions: Versions | None = None  # null: all versions of the matrix

    @property
    def control(self) -> Control:
        """The control itself."""
        return Control(kind=self.kind, within=self.within)


class TuneSettings(Frozen):
    """The candidates of `ctrbench tune`, which chooses on `valid` only."""

    seeds: Seeds = (100,)  # should differ from the seeds of the matrix
    batch_size: tuple[BatchSize, ...] = ()  # chosen for the baseline, then fixed for all modes
    learning_rate: tuple[
        LearningRate, ...
    ] = ()  # chosen for the baseline, then fixed for all modes
    learning_rate_factor: tuple[RateFactor, ...] = ()  # chosen for every mode's image block
    versions: Versions | None = None  # on which the factor is chosen; null: all


class ScreenSettings(Frozen):
    """The settings of `ctrbench screen`, which chooses on `valid` only."""

    mode: str = "sim_score"  # the mode of the file that screens all versions
    seeds: Seeds = (0, 1)
    keep: Count = 2  # number of versions that are confirmed with all modes and seeds


class BenchmarkFile(Frozen):
    """The content of a benchmark file."""

    dataset: str
    versions: Versions
    modes: Modes
    seeds: Seeds
    headline: Literal["gauc", "auc"] = "gauc"  # the metric of verdicts, first in tables
    margin: Points = "0.05pp"  # the largest acceptable loss
    effect: Effect | None = None  # the smallest effect of interest; tables compare the MDE with it
    repeat_baseline: bool = True  # A/A: train the first seed's baseline twice; they must be equal
    controls: tuple[ControlRequest, ...] = ()
    slices: tuple[Slice, ...] = ()
    model: ModelSettings = ModelSettings()
    training: Trainings = (TrainingSettings(),)  # several if a list spans a grid
    tune: TuneSettings | None = None
    screen: ScreenSettings | None = None


@dataclass(frozen=True)
class Column:
    """A column of the table: a mode with its settings and training."""

    mode: str
    settings: Injection = field(hash=False)  # a mode's fields may not be hashable
    label: str  # the mode's name, and the settings that differ between columns
    training: TrainingSettings
    trained: str = ""  # training settings that differ between columns: "epochs=2"


@dataclass(frozen=True)
class Row:
    """A row of the table: a version, or a control made from it."""

    version: str
    control: Control | None = None

    @property
    def label(self) -> str:
        """The row's label in a table."""
        return f"{self.version}@{self.control}" if self.control else self.version


@dataclass(frozen=True)
class Matrix:
    """A checked benchmark file: rows x columns x seeds, and one baseline per training and seed."""

    file: BenchmarkFile
    dataset: DatasetManifest
    versions: dict[str, VersionManifest]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def cell(self, row: Row | None, column: Column | None, seed: int) -> Cell:
        """Return one cell.

        Args:
            row: The row; None for the baseline.
            column: The column that gives mode and training; None for the first training.
            seed: The cell's seed.
        """
        injected = column if row else None
        settings = injected.settings if injected else _baseline()
        training = column.training if column else self.file.training[0]
        return Cell(
            dataset=self.dataset.name,
            data_hash=self.dataset.content_hash,
            version=row.version if row else None,
            vectors_hash=self.versions[row.version].content_hash if row else None,
            control=row.control if row else None,
            mode=injected.mode if injected else BASELINE,
            mode_revision=settings.revision,
            mode_settings=settings.model_dump(mode="json", exclude_defaults=True),
            model=self.file.model.model_dump(mode="json", exclude_defaults=True),
            training=training.model_dump(mode="json", exclude_defaults=True),
            seed=seed,
            protocol=PROTOCOL,
        )

    def narrowed(
        self, versions: Sequence[str], modes: Sequence[str], seeds: Sequence[int]
    ) -> Matrix:
        """Return the matrix restricted to versions, modes and seeds.

        Args:
            versions: Versions whose rows are kept, with their controls.
            modes: Modes whose columns are kept.
            seeds: Seeds that replace those of the file.
        """
        return replace(
            self,
            file=self.file.model_copy(update={"seeds": tuple(seeds)}),
            rows=tuple(row for row in self.rows if row.version in versions),
            columns=tuple(column for column in self.columns if column.mode in modes),
        )

    def repeated(self) -> Cell | None:
        """Return the A/A arm, a repetition of the first seed's baseline; None if disabled."""
        if not self.file.repeat_baseline:
            return None
        return self.cell(None, None, self.file.seeds[0]).model_copy(update={"repeat": 1})

    def cells(self) -> Iterator[Cell]:
        """Yield every cell, seed by seed, baselines first; the A/A arm is last."""
        trained = {column.trained: column for column in self.columns}
        for seed in self.file.seeds:
            for column in trained.values():
                yield self.cell(None, column, seed)
            for row, column in product(self.rows, self.columns):
                yield self.cell(row, column, seed)
        again = self.repeated()
        if again is not None:
            yield again


@cache
def _baseline() -> Injection:
    """Return the baseline mode; cached because every seed has a baseline."""
    return load_mode(BASELINE, {})


def too_many(count: int, what: str) -> str:
    """Return the message for more cells, or parts of a grid, than a matrix can have.

    Args:
        count: A number above `MOST_CELLS`.
        what: The counted objects, in the plural.
    """
    return (
        f"lists span {count:,} {what}, but a matrix has at most {MOST_CELLS:,} cells; shorten the "
        "lists, or split the file"
    )
