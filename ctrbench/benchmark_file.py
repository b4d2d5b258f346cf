"""Read a benchmark file: strict YAML in, checked settings out, every mistake at once."""

from __future__ import annotations

import math
import re
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
)

from ctrbench.atomic import atomic_file
from ctrbench.errors import ConfigError, raise_all, refusal, unknown_name
from ctrbench.schema import Control, Frozen
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
from ctrbench.yaml_file import Lines, read_yaml

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
MOST_CELLS = 5_000  # of a matrix; a thousand take days, and more than this are a slip of the pen


def _effect(text: str) -> str:
    if parse_points(text, "an effect") == 0:
        raise ValueError("no number of seeds shows a difference of 0; give one above it")
    return text


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
    effect: Annotated[Points, AfterValidator(_effect)] | None = (
        None  # the smallest gain worth knowing of; tables say if it can hide
    )
    repeat_baseline: bool = True  # A/A: train the first seed's baseline twice; nothing may differ
    controls: tuple[ControlRequest, ...] = ()
    slices: tuple[Slice, ...] = ()
    model: ModelSettings = ModelSettings()
    training: Trainings = (TrainingSettings(),)  # several, if a list spans a grid
    tune: TuneSettings | None = None
    screen: ScreenSettings | None = None


def too_many(count: int, what: str) -> str:
    """The words for more cells, or parts of a grid, than a matrix can have."""
    return (
        f"lists span {count:,} {what}, and a matrix has at most {MOST_CELLS:,} cells; shorten "
        "them, or make several files of it"
    )


def read_benchmark(path: Path) -> BenchmarkFile:
    """Read and check one file; names of data sets, versions and modes are checked later.

    Raises:
        ConfigError: listing every problem with its line.
    """
    value, lines = _read_yaml(path)
    try:
        return BenchmarkFile.model_validate(value)
    except ValidationError as error:
        details = [dict(detail) for detail in error.errors()]
    told = [_problem(detail, lines) for detail in details if not _follows(detail, details)]
    problems = list(dict.fromkeys(told))
    raise_all(problems, ConfigError, f"{path} has {len(problems)} mistake(s):")
    raise AssertionError  # raise_all has raised


def with_lines(path: Path, problems: list[str]) -> list[str]:
    """Problems that begin with the key they are about, such as `modes.vector.width`, with its line.

    Args:
        path: the benchmark file, which is valid YAML.
        problems: as they are told; those that begin with no key of the file stay as they are.
    """
    lines = _read_yaml(path)[1]
    told = []
    for problem in problems:
        where = tuple(re.split(r"[\s:]", problem, maxsplit=1)[0].split("."))
        line = _line(where, lines)
        told.append(f"line {line}: {problem}" if line else problem)
    return told


def _read_yaml(path: Path) -> tuple[dict[str, Any], Lines]:
    return read_yaml(path, "benchmark file", "dataset, versions, modes and seeds")


def _line(where: tuple[Any, ...], lines: Lines) -> int | None:
    """Of a key, else of the nearest one above it."""
    return next((lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in lines), None)


def _follows(detail: dict[str, Any], details: list[dict[str, Any]]) -> bool:
    """Whether a list only seems too short, because its entries were refused."""
    where = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > len(where) and other["loc"][: len(where)] == where for other in details
    )


def _problem(detail: dict[str, Any], lines: Lines) -> str:
    """One validation error in words: line, key, what is wrong, what is allowed."""
    where = detail["loc"]
    if where[-1] == "[key]":
        where, detail = where[:-1], detail | {"type": "invalid_key"}
    if where[0] == "training":  # which of the trainings of a grid does not matter
        where = tuple(part for part in where if not isinstance(part, int))
    shown = ".".join(map(str, where))
    line = _line(where, lines)
    prefix = f"line {line}: " if line else ""
    if detail["type"] == "extra_forbidden":
        parent = _model_at(where[:-1])
        known = list(parent.model_fields) if parent else []
        return f"{prefix}{shown}: {unknown_name('key', str(where[-1]), known)}"
    return f"{prefix}{shown}: {refusal(detail)}"


def _model_at(where: tuple[Any, ...]) -> type[BaseModel] | None:
    """The settings class that a key path leads to."""
    inner: dict[str, type[BaseModel]] = {
        "controls": ControlRequest,
        "slices": Slice,
        "model": ModelSettings,
        "training": TrainingSettings,
        "tune": TuneSettings,
        "screen": ScreenSettings,
    }
    return inner.get(str(where[0])) if where else BenchmarkFile


def write_choice(path: Path, training: dict[str, Any], factors: dict[str, float]) -> None:
    """Put tuned settings into a benchmark file; its comments and order stay.

    Raises:
        StoreError: the file cannot be written; it is as it was.
    """
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt")
    yaml.width = 100
    value = yaml.load(path.read_text(encoding="utf-8"))
    value.setdefault("training", {}).update(training)
    for mode, factor in factors.items():
        value["modes"][mode] = {**(value["modes"][mode] or {}), "learning_rate_factor": factor}
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        yaml.dump(value, stream)
