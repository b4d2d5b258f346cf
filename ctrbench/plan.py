"""WHAT is compared: the settings, rows, columns and cells of a checked benchmark file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ctrbench.errors import ConfigError, UnknownNameError, unknown_name
from ctrbench.injection import BASELINE, Injection, load_mode
from ctrbench.metrics import find, judged, on_request
from ctrbench.schema import (
    Cell,
    Control,
    DatasetManifest,
    Frozen,
    ImportedPredictions,
    VersionManifest,
)
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
MOST_SEEDS = 1_000
DEFAULT_EFFECT = "0.1pp"  # the smallest effect of interest, if the file sets none
MOST_CELLS = 5_000  # of a matrix; a thousand cells take days, and a larger number is a mistake

ALL = "all"
NO_VERSION = "none"  # `versions: none` trains the baseline only
EVERY = "*"  # no version and no mode can have this name; `matrix.py` replaces it


def _listed(value: Any) -> Any:
    """`oracle` -> `[oracle]`: a single value where a list of one is meant."""
    return [value] if isinstance(value, str | int | float) else value


def _counted(value: Any) -> Any:
    """`5` -> `[0, 1, 2, 3, 4]`: a number of seeds."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if not 1 <= value <= MOST_SEEDS:
        raise ValueError(
            f"{value} seeds are not possible; give 1 to {MOST_SEEDS}, or a list such as [{value}]"
        )
    return list(range(value))


def _named(value: Any) -> Any:
    """`vector` or `[vector, sim_score]` -> modes with their default settings; `all` -> `*`."""
    if isinstance(value, str):
        value = [EVERY if value == ALL else value]
    if not isinstance(value, list):
        return value
    if not all(isinstance(name, str) for name in value):
        raise ValueError(
            "a list of modes contains names only; write `name: {setting: value}` lines"
        )
    if repeated := sorted({name for name in value if value.count(name) > 1}):
        raise ValueError(f"{', '.join(repeated)} is listed twice")
    return {name: {} for name in value}


def _requested(value: Any) -> Any:
    """`none` -> `[]`; `shuffled` or `[shuffled]` -> `[{kind: shuffled}]`."""
    if value == "none":
        return []
    listed = [value] if isinstance(value, str | dict) else value
    if not isinstance(listed, list):
        return value
    return [{"kind": one} if isinstance(one, str) else one for one in listed]


def _versions(value: Any) -> Any:
    """`all` -> `[*]`, `none` -> `()`, `oracle` -> `[oracle]`."""
    if value == []:
        raise ValueError(f"must not be empty; write `{NO_VERSION}` to train the baseline only")
    if value == NO_VERSION:
        return ()
    return [EVERY] if value == ALL else _listed(value)


Listed = BeforeValidator(_listed)
Versions = Annotated[tuple[str, ...], Field(min_length=1), Listed]
MatrixVersions = Annotated[tuple[str, ...], BeforeValidator(_versions)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1)]
ListedSeeds = Annotated[Seeds, Listed]
MatrixSeeds = Annotated[Seeds, BeforeValidator(_counted)]
Modes = Annotated[  # name -> settings; a list spans a grid
    dict[str, dict[str, Any] | None], Field(min_length=1), BeforeValidator(_named)
]


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


def _judged(name: str) -> str:
    known = [metric.name for metric in judged()]
    if name not in known:
        raise ValueError(unknown_name("metric that tables judge", name, known))
    return name


Headline = Annotated[str, AfterValidator(_judged)]  # gauc


def _on_request(name: str) -> str:
    known = [metric.name for metric in on_request()]
    if name.partition("@")[0] not in known:
        raise ValueError(unknown_name("metric on request", name, known))
    try:
        return find(name).name
    except UnknownNameError as error:
        raise ValueError(str(error)) from error


Requested = Annotated[str, AfterValidator(_on_request)]  # ndcg@5


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


Controls = Annotated[tuple[ControlRequest, ...], BeforeValidator(_requested)]


class TuneSettings(Frozen):
    """The candidates of `ctrbench tune`, which chooses on `valid` only."""

    seeds: ListedSeeds = (100,)  # should differ from the seeds of the matrix
    # chosen for the baseline, then fixed for all modes
    batch_size: Annotated[tuple[BatchSize, ...], Listed] = ()
    learning_rate: Annotated[tuple[LearningRate, ...], Listed] = ()
    # chosen for every mode's image block
    learning_rate_factor: Annotated[tuple[RateFactor, ...], Listed] = ()
    versions: Versions | None = None  # on which the factor is chosen; null: all


class ScreenSettings(Frozen):
    """The settings of `ctrbench screen`, which chooses on `valid` only."""

    mode: str = "sim_score"  # the mode of the file that screens all versions
    seeds: ListedSeeds = (0, 1)
    keep: Count = 2  # number of versions that are confirmed with all modes and seeds


class BenchmarkFile(Frozen):
    """The content of a benchmark file."""

    dataset: str
    label: str | None = None  # a further label of the data set to predict; null: the click
    versions: MatrixVersions  # `all`: every version of the data set; `none`: the baseline only
    modes: Modes  # `all`: every one that suits `model`; a list: with their default settings
    seeds: MatrixSeeds  # a number: that many, from 0 on
    headline: Headline = "gauc"  # the metric of verdicts, first in tables
    metrics: Annotated[tuple[Requested, ...], Listed] = ()  # further ones that tables show
    margin: Points = "0.05pp"  # the largest acceptable loss
    effect: Effect | None = None  # the smallest effect of interest; tables compare the MDE with it
    repeat_baseline: bool = True  # A/A: train the first seed's baseline twice; they must be equal
    controls: Controls = (ControlRequest(kind="shuffled"),)  # `none` turns them off
    slices: tuple[Slice, ...] = ()
    predictions: Annotated[tuple[str, ...], Listed] = ()  # imported ones of other models
    model: ModelSettings = ModelSettings()
    training: Trainings = (TrainingSettings(),)  # several if a list spans a grid
    tune: TuneSettings | None = None
    screen: ScreenSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_modes(cls, value: Any) -> Any:
        """Without versions, the baseline is the only mode."""
        if isinstance(value, dict) and value.get("versions") == NO_VERSION:
            return {"modes": BASELINE, **value}
        return value


@dataclass(frozen=True)
class Column:
    """A column of the table: a mode with its settings and training."""

    mode: str
    settings: Injection = field(hash=False)  # a mode's fields may not be hashable
    label: str  # the mode's name, and the settings that differ between columns
    training: TrainingSettings
    trained: str = ""  # training settings that differ between columns: "epochs=2"
    varied: tuple[tuple[str, Any], ...] = field(default=(), compare=False)  # settings of the label

    def varied_without(self, setting: str) -> tuple[tuple[str, Any], ...]:
        """Return the settings of the label but one."""
        return tuple((name, value) for name, value in self.varied if name != setting)

    def label_without(self, setting: str) -> str:
        """Return the label without one of its settings."""
        return " ".join([self.mode, *(f"{n}={v}" for n, v in self.varied_without(setting))])


@dataclass(frozen=True)
class Row:
    """A row of the table: a version, a control made from it, or imported predictions."""

    version: str  # or the name of the predictions
    control: Control | None = None
    imported: bool = False

    @property
    def label(self) -> str:
        """The row's label in a table."""
        if self.imported:
            return f"{self.version} (imported)"
        return f"{self.version}@{self.control}" if self.control else self.version


@dataclass(frozen=True)
class Matrix:
    """A checked benchmark file: places x seeds, and one baseline per training and seed."""

    file: BenchmarkFile
    dataset: DatasetManifest
    versions: dict[str, VersionManifest]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    imported: tuple[ImportedPredictions, ...] = ()

    def exists(self, row: Row | None, column: Column) -> bool:
        """Return whether a column has cells in a row.

        On a version of codes, a mode that requires vectors has none. Of the columns whose cells
        would be the same, because they differ only in settings of codebooks or in naming the first
        vector field, the first has cells.

        Args:
            row: The row; None for the baseline.
            column: The column.
        """
        if row is None:
            return True
        manifest = self.versions[row.version]
        if fields_of_codes(column.settings, manifest):
            if code_problems(column.settings, manifest):
                return False
        elif manifest.field not in self.vector_fields:
            return True
        key = _as_run(column, manifest)
        same = (one for one in self.columns if _as_run(one, manifest) == key)
        return next(same) == column

    def places(self) -> Iterator[tuple[Row, Column]]:
        """Yield every row and column that has cells, row by row."""
        return ((r, c) for r, c in product(self.rows, self.columns) if self.exists(r, c))

    def cell(self, row: Row | None, column: Column | None, seed: int) -> Cell:
        """Return one cell.

        Args:
            row: The row; None for the baseline.
            column: The column that gives mode and training; None for the first training.
            seed: The cell's seed.
        """
        injected = column if row else None
        settings = injected.settings if injected else _baseline()
        if row:
            settings = _stored(settings, self.versions[row.version])
        training = column.training if column else self.file.training[0]
        return Cell(
            dataset=self.dataset.name,
            data_hash=self.dataset.content_hash,
            version=row.version if row else None,
            vectors_hash=self.versions[row.version].hash_of(settings.reads) if row else None,
            control=row.control if row else None,
            mode=injected.mode if injected else BASELINE,
            mode_revision=settings.revision,
            mode_settings=settings.model_dump(mode="json", exclude_defaults=True),
            model=self.file.model.model_dump(mode="json", exclude_defaults=True),
            training=training.model_dump(mode="json", exclude_defaults=True),
            seed=seed,
            protocol=PROTOCOL,
            outcome=self.dataset.outcome,
        )

    @property
    def vector_fields(self) -> tuple[str | None, ...]:
        """The vector fields that the modes name; None is the first field of each version."""
        named = (field for column in self.columns for field in column.settings.reads)
        return tuple(dict.fromkeys(named))

    def with_effect(self, effect: str | None) -> Matrix:
        """Return the matrix with another smallest effect of interest; None keeps that of the file.

        Args:
            effect: A checked `--effect`, for example `0.1pp`.
        """
        if effect is None:
            return self
        return replace(self, file=self.file.model_copy(update={"effect": effect}))

    def with_metrics(self, names: Sequence[str]) -> Matrix:
        """Return the matrix with further requested metrics."""
        every = tuple(dict.fromkeys((*self.file.metrics, *names)))
        return replace(self, file=self.file.model_copy(update={"metrics": every}))

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
        """Yield every cell to train, seed by seed, baselines first; the A/A arm is last."""
        trained = {column.trained: column for column in self.columns}
        for seed in self.file.seeds:
            for column in trained.values():
                yield self.cell(None, column, seed)
            for row, column in self.places():
                yield self.cell(row, column, seed)
        again = self.repeated()
        if again is not None:
            yield again

    def shown_cells(self) -> Iterator[Cell]:
        """Yield every cell of the table: the cells to train, then the imported predictions."""
        yield from self.cells()
        for model in self.imported:
            yield from model.cells


def fields_of_codes(mode: Injection, manifest: VersionManifest) -> frozenset[str | None]:
    """Return the vector fields that a mode reads and that hold codes; None is the first.

    Args:
        mode: The mode with its settings.
        manifest: The version. Fields that it does not have are ignored.
    """
    known = (None, *manifest.field_names)
    return frozenset(
        field for field in mode.reads if field in known and manifest.of(field).kind == "codes"
    )


def code_problems(mode: Injection, manifest: VersionManifest) -> list[str]:
    """Return why a mode cannot use the codes of a version; empty for vectors.

    Args:
        mode: The mode with its settings.
        manifest: The version.
    """
    held = fields_of_codes(mode, manifest)
    return [
        f"{name}: {problem}" if name else problem
        for name, piece in mode.pieces.items()
        if piece.field in held
        for problem in piece.problems_on_codes(manifest.of(piece.field).code_counts)
    ]


def _stored(mode: Injection, manifest: VersionManifest) -> Injection:
    """Return the settings of a mode as cells on a version store them."""
    return mode.on_codes(fields_of_codes(mode, manifest)).without_field(manifest.field)


def _as_run(column: Column, manifest: VersionManifest) -> tuple[str, Injection, TrainingSettings]:
    """Return everything that the cells of a column depend on in the rows of a version."""
    return column.mode, _stored(column.settings, manifest), column.training


@cache
def _baseline() -> Injection:
    """Return the baseline mode; cached because every seed has a baseline."""
    return load_mode(BASELINE, {})


def effect_of(option: str | None, of_file: str | None) -> float:
    """Return the effect of interest, a fraction: the option's, else the file's, else the default.

    Args:
        option: The value of `--effect`; None if it is not given.
        of_file: The benchmark file's `effect`; None if it has none.

    Raises:
        ConfigError: The effect has no unit, or is 0.
    """
    text = of_file or DEFAULT_EFFECT if option is None else option
    points = parse_points(text, "effect" if option is None else "--effect")
    if points == 0:
        raise ConfigError(f"effect {text} is not valid: give a difference greater than 0.")
    return points


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
