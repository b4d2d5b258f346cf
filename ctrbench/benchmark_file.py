"""Read a benchmark file and report all its mistakes at once, with their lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ctrbench.atomic import atomic_file
from ctrbench.errors import ConfigError, raise_all, refusal, unknown_name
from ctrbench.plan import (
    ALL,
    NO_VERSION,
    BenchmarkFile,
    ControlRequest,
    ScreenSettings,
    TuneSettings,
)
from ctrbench.settings import ModelSettings, TrainingSettings
from ctrbench.slices import Slice
from ctrbench.yaml_file import Lines, read_value, read_yaml


def read_benchmark(path: Path) -> BenchmarkFile:
    """Read and check one file. `read_matrix` checks names of data sets, versions and modes.

    Raises:
        ConfigError: Lists every problem with its line.
    """
    value, lines = _read_yaml(path)
    return parse_benchmark(value, str(path), lines)


def parse_benchmark(value: Mapping[str, Any], what: str, lines: Lines) -> BenchmarkFile:
    """Return the content of a benchmark file, from its keys and values.

    Args:
        value: The content.
        what: What holds it, for messages.
        lines: The lines of its keys; empty if it comes from no file.

    Raises:
        ConfigError: Lists every problem, with its line if it is known.
    """
    try:
        return BenchmarkFile.model_validate(value)
    except ValidationError as error:
        details = [dict(detail) for detail in error.errors()]
    found = [_problem(detail, lines) for detail in details if not _follows(detail, details)]
    problems = list(dict.fromkeys(found))
    raise_all(problems, ConfigError, f"{what} has {len(problems)} mistake(s):")
    raise AssertionError  # raise_all has raised


def starting_text(
    dataset: str,
    versions: Sequence[str] | None = None,
    modes: Mapping[str, Mapping[str, Any]] | None = None,
    seeds: int = 5,
    remark: str = "Run it with `ctrbench run FILE`.",
    training: Mapping[str, Any] | None = None,
) -> str:
    """Return a commented benchmark file.

    Args:
        dataset: The name of the data set.
        versions: The names of its versions; None: all; empty: the baseline only.
        modes: Settings by mode; None: all modes with their default settings.
        seeds: The number of seeds, at least 1.
        remark: The end of the first line.
        training: Settings of the training; None: the defaults, as a comment.
    """
    chosen = "# training: {batch_size: 1024, learning_rate: 1e-3}  # `ctrbench tune FILE` chooses"
    if training is not None:
        chosen = f"training: {json.dumps(training)}"
    if versions is not None and not versions:
        compared = [f"versions: {NO_VERSION}"]
    else:
        listed = ALL if versions is None else f"[{', '.join(map(_scalar, versions))}]"
        every = f"modes: {ALL}"
        own = ["modes:", *(f"  {name}: {json.dumps(one)}" for name, one in (modes or {}).items())]
        compared = [f"versions: {listed}", *([every] if modes is None else own)]
    return "\n".join(
        [
            f"# Which image vectors to ship, and how to feed them to the CTR model. {remark}",
            f"dataset: {_scalar(dataset)}",
            *compared,
            f"seeds: {seeds}  # `ctrbench power FILE` computes how many an effect requires",
            "# controls: none  # by default every version is also run with its vectors shuffled",
            "# slices: [unseen_items: true, history_below: 5]",
            "# margin: 0.05pp  # a loss below it does not matter",
            chosen,
            "",
        ]
    )


@dataclass(frozen=True)
class Problem:
    """A mistake in a benchmark file."""

    key: tuple[str, ...]  # its path, such as ("modes", "vector", "width"); empty: the whole file
    message: str


def at(key: tuple[str, ...], text: str) -> Problem:
    """Return a problem whose message begins with its key.

    Args:
        key: The path of the key.
        text: The rest of the message: what is wrong, and what to do.
    """
    return Problem(key, f"{'.'.join(key)}: {text}")


def with_lines(path: Path, problems: Sequence[Problem]) -> list[str]:
    """Return the messages of problems, with the line of the key or of its nearest parent.

    Args:
        path: The benchmark file, which is valid YAML.
        problems: The problems of the file.
    """
    lines = _read_yaml(path)[1]
    located = []
    for problem in problems:
        line = _line(problem.key, lines)
        located.append(f"line {line}: {problem.message}" if line else problem.message)
    return located


def _scalar(name: str) -> str:
    """Return the name as a YAML text; `null` and `12` need quotes."""
    try:
        plain = read_value(f"[{name}]", "a name") == [name]
    except ConfigError:
        plain = False
    return name if plain else json.dumps(name, ensure_ascii=False)


def _read_yaml(path: Path) -> tuple[dict[str, Any], Lines]:
    return read_yaml(path, "benchmark file", "dataset, versions, modes and seeds")


def _line(where: tuple[Any, ...], lines: Lines) -> int | None:
    """Return the line of a key, or of its nearest parent with a line."""
    return next((lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in lines), None)


def _follows(detail: dict[str, Any], details: list[dict[str, Any]]) -> bool:
    """Return whether a list is too short only because its entries are invalid."""
    where = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > len(where) and other["loc"][: len(where)] == where for other in details
    )


def _problem(detail: dict[str, Any], lines: Lines) -> str:
    """Return the message of a validation error: line, key, what is wrong, what is allowed."""
    where = detail["loc"]
    if where[-1] == "[key]":
        where, detail = where[:-1], detail | {"type": "invalid_key"}
    if where[0] == "training":  # omit the index of the training within a grid
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
    """Return the settings class at a key path."""
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
    """Write tuned settings into a benchmark file, keeping its comments and order.

    Args:
        path: The benchmark file.
        training: Settings of the training.
        factors: The learning-rate factor by mode.

    Raises:
        StoreError: The file cannot be written; it is unchanged.
    """
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt")
    yaml.width = 100
    value = yaml.load(path.read_text(encoding="utf-8"))
    value.setdefault("training", {}).update(training)
    if factors and not isinstance(value["modes"], dict):  # `all`, a name, or a list of names
        value["modes"] = {mode: {} for mode in factors}
    for mode, factor in factors.items():
        value["modes"][mode] = {**(value["modes"][mode] or {}), "learning_rate_factor": factor}
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        yaml.dump(value, stream)
