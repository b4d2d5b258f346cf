"""Benchmark files that ctrbench writes: a commented one to edit, and that of a run without FILE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrbench import embeddings, impressions
from ctrbench.atomic import atomic_file, check_writable
from ctrbench.benchmark_file import starting_text
from ctrbench.errors import ConfigError, UnknownNameError
from ctrbench.injection import load_mode, usable_modes
from ctrbench.plan import ALL, NO_VERSION
from ctrbench.schema import VersionManifest
from ctrbench.settings import ModelSettings
from ctrbench.workspace import Workspace, check_name

SIZE = "codebook_size"  # the setting that few vectors limit
OWN = "`ctrbench run --dataset` wrote this file and replaces it; edit a copy."


@dataclass(frozen=True)
class Choice:
    """What a starting file compares."""

    dataset: str
    versions: str = ALL  # names separated by commas, `all`, or `none`
    modes: str = ALL  # names separated by commas, or `all`
    seeds: int = 5  # their number


def starting_file(
    workspace: Workspace, choice: Choice, remark: str = "Run it with `ctrbench run FILE`."
) -> str:
    """Return a commented benchmark file that can be run.

    Modes with a codebook get a smaller one if a version has fewer vectors than twice their default.

    Args:
        workspace: The workspace with the data set and its versions.
        choice: What the file compares.
        remark: The end of the first line.

    Raises:
        UnknownNameError: There is no such data set, version or mode.
        ConfigError: The data set has no version, or a list is empty.
    """
    dataset, known = choice.dataset, impressions.names(workspace)
    if check_name("data set", dataset) not in known:
        hint = "Import it with `ctrbench datasets import`."
        raise UnknownNameError("data set", dataset, known, hint)
    if choice.versions == NO_VERSION:
        if choice.modes != ALL:
            raise ConfigError(f"without versions there are no modes; remove {choice.modes!r}.")
        return starting_text(dataset, [], None, choice.seeds, remark)
    own = embeddings.names(workspace, dataset)
    if not own:
        raise ConfigError(
            f"data set '{dataset}' has no embedding version. Add one with "
            f"`ctrbench embeddings add NAME --dataset {dataset} --vectors FILE`; "
            f"`ctrbench run --dataset {dataset} --versions {NO_VERSION}` trains the baseline only."
        )
    versions = _chosen("embedding version", choice.versions, own)
    for name in versions:
        if name not in own:
            raise UnknownNameError("embedding version", name, own)
    manifests = [embeddings.read_manifest(workspace, dataset, name) for name in versions]
    every = usable_modes(ModelSettings())
    vectors = [one for one in manifests if one.kind == "vectors"]
    possible = every if len(vectors) == len(manifests) else _possible(every, manifests, choice)
    chosen = _chosen("mode", choice.modes, possible)
    modes = {name: _settings(name, vectors) for name in chosen}
    plain = choice.modes == ALL and chosen == every and not any(modes.values())
    mixed = 0 < len(vectors) < len(manifests) and choice.versions == ALL
    listed = None if mixed else versions
    return starting_text(dataset, listed, None if plain else modes, choice.seeds, remark)


def write_new(path: Path, text: str) -> None:
    """Write a starting file.

    Args:
        path: The file to create.
        text: Its content.

    Raises:
        ConfigError: The file exists.
        StoreError: Its folder cannot be written.
    """
    check_new(path)
    _write(path, text)


def check_new(path: Path) -> None:
    """Raise the errors of `write_new` before long work."""
    if path.exists():
        raise ConfigError(f"{path} exists; give another name with --output, or remove it.")
    check_writable(path)


def file_of_run(
    workspace: Workspace,
    file: Path | None,
    dataset: str | None,
    versions: str | None,
    modes: str | None,
    seeds: int | None,
) -> Path:
    """Return the benchmark file of a run; without FILE, write `<dataset>.yaml` and return it.

    Replaces only a file that it wrote itself.

    Args:
        workspace: The workspace with the data set and its versions.
        file: The benchmark file; None if the other arguments describe the run.
        dataset: The name of the data set.
        versions: Names separated by commas, `all`, or `none`; None: all.
        modes: Names separated by commas, or `all`; None: all.
        seeds: The number of seeds, at least 1; None: 5.

    Raises:
        UnknownNameError: There is no such data set, version or mode.
        ConfigError: Both or neither are given, or the file exists and ctrbench did not write it.
    """
    options = {"--dataset": dataset, "--versions": versions, "--modes": modes, "--seeds": seeds}
    given = [name for name, value in options.items() if value is not None]
    if file is not None and given:
        raise ConfigError(f"{', '.join(given)} and {file} exclude each other: the file has them.")
    if file is not None:
        return file
    if dataset is None:
        raise ConfigError("give FILE, or --dataset NAME; `ctrbench init NAME` writes a file.")
    choice = Choice(dataset, versions or ALL, modes or ALL, seeds or 5)
    text, path = starting_file(workspace, choice, OWN), Path(f"{dataset}.yaml")
    if path.exists() and _first_line(path.read_text(encoding="utf-8")) != _first_line(text):
        raise ConfigError(
            f"{path} exists, and `ctrbench run --dataset` did not write it. Run it with "
            f"`ctrbench run {path}`, or rename it and repeat this command."
        )
    _write(path, text)
    return path


def _chosen(kind: str, text: str, known: Sequence[str]) -> list[str]:
    """Return the names of a comma-separated list; all known names for `all`."""
    if text == ALL:
        return list(known)
    found = list(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))
    if not found:
        raise ConfigError(f"{text!r} names no {kind}; give names separated by commas, or {ALL}.")
    return found


def _possible(
    modes: Sequence[str], versions: Sequence[VersionManifest], choice: Choice
) -> list[str]:
    """Return the modes that can use the versions of codes and vectors: one of `all`, else each."""
    enough = any if choice.versions == ALL else all
    found = [
        mode
        for mode in modes
        if enough(
            not (one.code_counts and load_mode(mode, {}).problems_on_codes(one.code_counts))
            for one in versions
        )
    ]
    return found or list(modes)


def _settings(mode: str, versions: Sequence[VersionManifest]) -> dict[str, Any]:
    """Return the settings that the smallest version of vectors requires; empty: the defaults."""
    if not versions:
        return {}
    fewest = min(versions, key=lambda one: one.items_with_vector)
    half, width, model = fewest.items_with_vector // 2, fewest.width, ModelSettings()
    usual = load_mode(mode, {})  # an error names the mode and the nearest ones
    if not hasattr(usual, SIZE) or not usual.problems(half, width, model) or half < 2:
        return {}
    smaller = {SIZE: half}
    return {} if load_mode(mode, smaller).problems(half, width, model) else smaller


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0]


def _write(path: Path, text: str) -> None:
    check_writable(path)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
