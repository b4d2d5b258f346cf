"""Read a benchmark file: strict YAML in, checked settings out, every mistake at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ctrbench.atomic import atomic_file
from ctrbench.errors import ConfigError, raise_all, refusal, unknown_name
from ctrbench.plan import BenchmarkFile, ControlRequest, ScreenSettings, TuneSettings
from ctrbench.settings import ModelSettings, TrainingSettings
from ctrbench.slices import Slice
from ctrbench.yaml_file import Lines, read_yaml


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
