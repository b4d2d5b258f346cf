"""WHAT is compared: a checked benchmark file as settings, rows, columns and cells."""

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

PROTOCOL = 4  # raised when the same cell would give another result; guarded by a golden test
MOST_CELLS = 5_000  # of a matrix; a thousand take days, and more than this are a slip of the pen

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
        raise ValueError("no number of seeds shows a difference of 0; give one above it")
    return text


Effect = Annotated[Points, AfterValidator(_effect)]


def _spanned(value: Any) -> Any:
    """`{epochs: [1, 2]}` -> `[{epochs: 1}, {epochs: 2}]`: a setting that is a list spans a grid."""
    if not isinstance(value, dict):
        return value if isinstance(value, tuple) else [value]
    grid = {key: one if isinstance(one, list) else [one] for key, one in value.items()}
    for key, values in grid.items():
        if not values:
            raise ValueError(f"{key} is an empty list")
        if len(set(map(repr, values))) < len(values):
            raise ValueError(f"{key} has a value twice")
    points = math.prod(map(len, grid.values()))
    if points > MOST_CELLS:
        raise ValueError(f"{too_many(points, 'trainings')}")
    return [dict(zip(grid, point, strict=True)) for point in product(*grid.values())]


Trainings = Annotated[tuple[TrainingSettings, ...], BeforeValidator(_spanned)]


class ControlRequest(Control):
    """A control, and the versions it is made of."""

    versions: Versions | None = None  # null: all versions of the matrix

    @property
    def control(self) -> Control:
        """The control itself."""
        return Control(kind=self.kind, within=self.within)


class TuneSettings(Frozen):
    """What `ctrbench tune` tries; choices are made on `valid` only."""

    seeds: Seeds = (100,)  # apart from the matrix' own
    batch_size: tuple[BatchSize, ...] = ()  # tried for the baseline, then held for all
    learning_rate: tuple[LearningRate, ...] = ()  # tried for the baseline, then held for all
    learning_rate_factor: tuple[RateFactor, ...] = ()  # tried for every mode's image block
    versions: Versions | None = None  # on which the factor is chosen; null: all


class ScreenSettings(Frozen):
    """What `ctrbench screen` looks at before it confirms; choices are made on `valid` only."""

    mode: str = "sim_score"  # of the file's modes: every version is tried with it
    seeds: Seeds = (0, 1)
    keep: Count = 2  # versions that are confirmed with all modes and seeds


class BenchmarkFile(Frozen):
    """The whole of a benchmark file."""

    dataset: str
    versions: Versions
    modes: Modes
    seeds: Seeds
    headline: Literal["gauc", "auc"] = "gauc"  # the metric a table shows first, and judges by
    margin: Points = "0.05pp"  # a loss below it does not matter
    effect: Effect | None = None  # the smallest effect of interest; tables compare the MDE with it
    repeat_baseline: bool = True  # A/A: train the first seed's baseline twice; nothing may differ
    controls: tuple[ControlRequest, ...] = ()
    slices: tuple[Slice, ...] = ()
    model: ModelSettings = ModelSettings()
    training: Trainings = (TrainingSettings(),)  # several, if a list spans a grid
    tune: TuneSettings | None = None
    screen: ScreenSettings | None = None


@dataclass(frozen=True)
class Column:
    """A mode with its settings, and how it is trained: one column of the table."""

    mode: str
    settings: Injection = field(hash=False)  # a mode's fields may be of any type
    label: str  # the mode's name, and the settings in which it differs from its neighbours
    training: TrainingSettings
    trained: str = ""  # "epochs=2": that by which its training differs from other columns'


@dataclass(frozen=True)
class Row:
    """A version, or a control made from it: one row of the table."""

    version: str
    control: Control | None = None

    @property
    def label(self) -> str:
        """As it stands in a table."""
        return f"{self.version}@{self.control}" if self.control else self.version


@dataclass(frozen=True)
class Matrix:
    """A checked benchmark file: rows x columns x seeds, and the baseline of every seed."""

    file: BenchmarkFile
    dataset: DatasetManifest
    versions: dict[str, VersionManifest]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def cell(self, row: Row | None, column: Column | None, seed: int) -> Cell:
        """Return one cell.

        Args:
            row: None: the baseline.
            column: whose mode and training it has; None: the baseline of the first training.
            seed: of all its draws.
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
        """Return the part with these versions, modes and seeds.

        Args:
            versions: whose rows stay, those of their controls included.
            modes: whose columns stay.
            seeds: that take the place of the file's.
        """
        return replace(
            self,
            file=self.file.model_copy(update={"seeds": tuple(seeds)}),
            rows=tuple(row for row in self.rows if row.version in versions),
            columns=tuple(column for column in self.columns if column.mode in modes),
        )

    def repeated(self) -> Cell | None:
        """The A/A arm: the first seed's baseline once more; None if the file forgoes it."""
        if not self.file.repeat_baseline:
            return None
        return self.cell(None, None, self.file.seeds[0]).model_copy(update={"repeat": 1})

    def cells(self) -> Iterator[Cell]:
        """Every cell, seed by seed, the baselines before their siblings; the A/A arm at last."""
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
    """Looked up once: a matrix has a baseline for every seed."""
    return load_mode(BASELINE, {})


def too_many(count: int, what: str) -> str:
    """Return the words for more cells, or parts of a grid, than a matrix can have.

    Args:
        count: above `MOST_CELLS`.
        what: what is counted, in the plural.
    """
    return (
        f"lists span {count:,} {what}, and a matrix has at most {MOST_CELLS:,} cells; shorten "
        "them, or make several files of it"
    )
