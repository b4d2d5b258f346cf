"""Turn a benchmark file into a matrix and check it completely before the first cell runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ctrbench import embeddings, impressions, plugins
from ctrbench.benchmark_file import Problem, at, read_benchmark, with_lines
from ctrbench.clustering import count_distinct
from ctrbench.controls import NullVersion
from ctrbench.errors import (
    ConfigError,
    CtrBenchError,
    SettingsError,
    UnknownNameError,
    first_line,
    raise_all,
    unknown_name,
)
from ctrbench.impressions.period_guards import one_label
from ctrbench.injection import BASELINE, Injection, load_mode, takes_list, usable_modes
from ctrbench.models import backbone_names
from ctrbench.plan import (
    EVERY,
    MOST_CELLS,
    NO_VERSION,
    PROTOCOL,
    BenchmarkFile,
    Column,
    ControlRequest,
    Matrix,
    Row,
    code_problems,
    too_many,
)
from ctrbench.schema import DatasetManifest, ImportedPredictions, VersionManifest
from ctrbench.settings import TrainingSettings
from ctrbench.slices import problems as slice_problems
from ctrbench.store import Store
from ctrbench.workspace import Workspace, check_name

Key = tuple[str, ...]
Varied = tuple[tuple[str, Any], ...]  # names and values of settings that vary
MOST_COUNTED = 200_000  # vectors; with more, all are assumed to be distinct


def read_matrix(path: Path, workspace: Workspace) -> Matrix:
    """Read a benchmark file and check it against the content of the workspace.

    Args:
        path: The benchmark file.
        workspace: The workspace with its data set and versions.

    Raises:
        ConfigError: Lists every mistake, with the nearest valid name.
    """
    return check_matrix(read_benchmark(path), workspace, str(path), partial(with_lines, path))


def check_matrix(
    file: BenchmarkFile,
    workspace: Workspace,
    what: str,
    located: Callable[[Sequence[Problem]], list[str]],
) -> Matrix:
    """Check the settings of a matrix against the content of the workspace.

    Args:
        file: The settings.
        workspace: The workspace with its data set and versions.
        what: What holds the settings, for messages.
        located: Returns the messages of problems, with their places.

    Raises:
        ConfigError: Lists every mistake, with the nearest valid name.
    """
    file = _with_every_mode(file)
    problems: list[Problem] = []
    columns = _columns(file, problems)
    dataset = _collect(problems, "dataset", lambda: _dataset(workspace, file.dataset, file.label))
    versions = {}
    if dataset is not None:
        every = file.versions == (EVERY,)
        file = _with_every_version(workspace, file, dataset.name, problems)
        for name in file.versions:
            load = partial(_version, workspace, dataset, name)
            found = _collect(problems, "versions", load)
            if found is not None:
                versions[name] = found
        file = _without_impossible(file, every, versions, columns, problems)
    imported = _imported(workspace, file, dataset, problems) if dataset is not None else ()
    rows = _rows(file, problems)
    problems += _list_problems(file, rows)
    problems += _vector_field_problems(versions, columns)
    cells = len(file.seeds) * (len(rows) * len(columns) + len(file.training))
    if cells > MOST_CELLS:
        problems.append(Problem((), too_many(cells, "cells")))
    if dataset is not None:
        problems += _field_problems(file, dataset)
        if dataset.name in impressions.names(workspace):
            problems += _data_problems(workspace, file, dataset, versions, columns)
    for device in dict.fromkeys(training.device for training in file.training):
        problems += _device_problems(device)
    problems += [
        Problem(
            ("modes", column.mode),
            f"modes.{column.label} initialises the id embeddings, but training.warm_start has "
            "trained them already; remove one of the two",
        )
        for column in columns
        if column.training.warm_start and column.settings.starts_ids
    ]
    problems = list(dict.fromkeys(problems))
    heading = f"{what} has {len(problems)} mistake(s):"
    raise_all(located(problems) if problems else [], ConfigError, heading)
    assert dataset is not None
    return Matrix(file, dataset, versions, tuple(columns), tuple(rows), tuple(imported))


def _collect(problems: list[Problem], where: str, load: Callable[[], Any]) -> Any:
    """Return the loaded value; on an error, add it with its key to the problems."""
    try:
        return load()
    except CtrBenchError as error:
        problems.append(at((where,), str(error)))
        return None


def _mode(problems: list[Problem], name: str, settings: dict[str, Any]) -> Injection | None:
    """Return the mode with its settings; on an error, add it to the problems.

    A ConfigError already names the key of each mistake.
    """
    try:
        return load_mode(name, settings)
    except SettingsError as error:
        problems.append(Problem(("modes", name, error.setting), str(error)))
    except ConfigError as error:
        problems.append(Problem(("modes", name), str(error)))
    except CtrBenchError as error:
        problems.append(at(("modes", name), str(error)))
    return None


def _dataset(workspace: Workspace, name: str, label: str | None) -> DatasetManifest:
    """Return the manifest from data/, else from results/, which suffices for tables."""
    known = impressions.names(workspace)
    check_name("data set", name)
    if name not in known:
        summary = Store(workspace).read_summary(name, label)
        if summary is not None:
            return summary.manifest
        hint = "Import it with `ctrbench datasets import`."
        raise UnknownNameError("data set", name, known, hint)
    return impressions.read_manifest(workspace, name, label)


def _version(workspace: Workspace, dataset: DatasetManifest, name: str) -> VersionManifest:
    known = embeddings.names(workspace, dataset.name)
    check_name("embedding version", name)
    if name not in known:
        stored = Store(workspace).read_version(dataset.name, name)
        if stored is not None and dataset.name not in impressions.names(workspace):
            return stored
        hint = (
            f"Add it with `ctrbench embeddings add NAME --dataset {dataset.name} --vectors FILE`."
        )
        raise UnknownNameError("embedding version", name, known, hint)
    manifest = embeddings.read_manifest(workspace, dataset.name, name)
    if manifest.items_hash != dataset.items_hash:
        raise ConfigError(
            f"embedding version '{name}' was joined to other items than those of data set "
            f"'{dataset.name}'. Remove it and add it again."
        )
    return manifest


def _imported(
    workspace: Workspace, file: BenchmarkFile, dataset: DatasetManifest, problems: list[Problem]
) -> list[ImportedPredictions]:
    """Return the descriptions of the predictions that the file names."""
    store, found = Store(workspace), []
    for name in file.predictions:
        one = store.read_imported(dataset.name, name, dataset.outcome)
        label = f" --label {dataset.outcome}" if dataset.outcome else ""
        cure = f"`ctrbench import-predictions FILE --as {name} --dataset {dataset.name}{label}`"
        if one is None:
            known = store.imported_names(dataset.name, dataset.outcome)
            text = f"{unknown_name('imported predictions', name, known)} {cure} imports them"
        elif (one.data_hash, one.protocol) != (dataset.content_hash, PROTOCOL):
            text = (
                f"'{name}' was imported for another version of the data set or of ctrbench; run "
                f"{cure} again"
            )
        elif name in file.versions:
            text = f"'{name}' is also an embedding version; import the predictions as another name"
        else:
            found.append(one)
            continue
        problems.append(at(("predictions",), text))
    return found


def _with_every_mode(file: BenchmarkFile) -> BenchmarkFile:
    """Replace `modes: all` by the modes that suit the settings of the model."""
    if list(file.modes) != [EVERY]:
        return file
    return file.model_copy(update={"modes": {name: {} for name in usable_modes(file.model)}})


def _with_every_version(
    workspace: Workspace, file: BenchmarkFile, dataset: str, problems: list[Problem]
) -> BenchmarkFile:
    """Replace `versions: all` by the versions that the workspace has."""
    if file.versions != (EVERY,):
        return file
    names = embeddings.names(workspace, dataset) or Store(workspace).version_names(dataset)
    if not names:
        text = (
            f"data set '{dataset}' has no embedding version; add one with "
            f"`ctrbench embeddings add NAME --dataset {dataset} --vectors FILE`, or write "
            f"`versions: {NO_VERSION}` to train the baseline only"
        )
        problems.append(at(("versions",), text))
    return file.model_copy(update={"versions": tuple(names)})


def _without_impossible(
    file: BenchmarkFile,
    every: bool,
    versions: dict[str, VersionManifest],
    columns: Sequence[Column],
    problems: list[Problem],
) -> BenchmarkFile:
    """Check which modes can use the versions of codes.

    With `versions: all`, a mode is left out on the versions that it cannot use. It is a mistake if
    it can use none. A version that no mode can use is left out of the file.

    Args:
        file: The benchmark file, with the names of all versions.
        every: Whether the file has `versions: all`.
        versions: The versions of the file.
        columns: The columns of the file.
        problems: Receives the mistakes.
    """
    refused = {
        (name, column): found
        for name, manifest in versions.items()
        for column in columns
        if (found := code_problems(column.settings, manifest))
    }
    for column in columns:
        without = [name for name in versions if (name, column) in refused]
        if every and len(without) < len(versions):
            continue
        hint = (
            "no version is left, so remove the mode"
            if every
            else "remove one of them, or write `versions: all`, which leaves this combination out"
        )
        problems += [
            Problem(
                ("modes", column.mode),
                f"modes.{column.label} on version '{name}': {problem}; {hint}",
            )
            for name in without
            for problem in refused[name, column]
        ]
    if not (every and columns):
        return file
    kept = [n for n in file.versions if not all((n, column) in refused for column in columns)]
    return file.model_copy(update={"versions": tuple(kept or file.versions)})


def _columns(file: BenchmarkFile, problems: list[Problem]) -> list[Column]:
    """Return one column per mode, point of its grid, and training."""
    columns = []
    trained = _differing(file.training)
    for name, settings in file.modes.items():
        if not file.versions and name != BASELINE:
            text = f"`versions: {NO_VERSION}` trains the baseline only; remove '{name}'"
            problems.append(at(("modes",), text))
            continue
        if file.versions and name == BASELINE:
            problems.append(at(("modes",), "the baseline 'none' is always included; remove it"))
            continue
        grid = {key: _points(name, key, value) for key, value in (settings or {}).items()}
        for key, values in grid.items():
            problems += _grid_problems(("modes", name, key), values)
        points = len(columns) + math.prod(map(len, grid.values())) * len(trained)
        if points > MOST_CELLS:
            problems.append(at(("modes", name), too_many(points, "columns")))
            continue
        varying = [key for key, values in grid.items() if len(values) > 1]
        for point in product(*grid.values()):
            chosen = dict(zip(grid, point, strict=True))
            made = _mode(problems, name, chosen)
            if made is not None:
                own = tuple((key, chosen[key]) for key in varying)
                columns += [
                    _column(name, made, training, own, others)
                    for training, others in zip(file.training, trained, strict=True)
                ]
    return columns


def _column(
    mode: str, made: Injection, training: TrainingSettings, own: Varied, trained: Varied
) -> Column:
    """Return a column whose label names the varying settings of its mode and its training."""
    words = [f"{name}={value}" for name, value in (*own, *trained)]
    label, of_training = " ".join([mode, *words]), " ".join(words[len(own) :])
    return Column(mode, made, label, training, of_training, (*own, *trained))


def _differing(trainings: Sequence[TrainingSettings]) -> list[Varied]:
    """Return, for each training, the names and values of the settings that differ between them."""
    varying = [
        name
        for name in TrainingSettings.model_fields
        if len({getattr(training, name) for training in trainings}) > 1
    ]
    return [tuple((name, getattr(training, name)) for name in varying) for training in trainings]


def _grid_problems(key: Key, values: list[Any]) -> list[Problem]:
    """Return a problem if a grid has no points or duplicate points."""
    if not values:
        return [at(key, "the list is empty; give at least one value")]
    return _repetitions(key, values)


def _points(mode: str, key: str, value: Any) -> list[Any]:
    """Return the values of a setting: a list is a grid, unless the setting itself is a list."""
    if takes_list(mode, key) and not (value and isinstance(value[0], list)):
        return [value]
    return value if isinstance(value, list) else [value]


def _rows(file: BenchmarkFile, problems: list[Problem]) -> list[Row]:
    """Return the versions, then the controls of the versions that request them."""
    rows = [Row(version) for version in file.versions]
    for request in file.controls:
        kind = _collect(problems, "controls", partial(_control, request))
        if kind is not None and request.within is not None and not kind.takes_groups:
            text = f"'{request.kind}' does not support 'within'; remove it"
            problems.append(at(("controls",), text))
        wanted = file.versions if request.versions is None else request.versions
        for version in wanted:
            if version in file.versions:
                rows.append(Row(version, request.control))
            else:
                text = unknown_name("version", version, file.versions)
                problems.append(at(("controls",), text))
    return rows


def _control(request: ControlRequest) -> type[NullVersion]:
    return plugins.load("ctrbench.controls", request.kind, NullVersion, "control")


def _list_problems(file: BenchmarkFile, rows: list[Row]) -> list[Problem]:
    """Return duplicates in lists, and unknown names in `screen` and `tune`."""
    controls = [row.label for row in rows if row.control is not None]
    lists: dict[Key, Sequence[Any]] = {
        ("versions",): file.versions,
        ("predictions",): file.predictions,
        ("metrics",): file.metrics,
        ("seeds",): file.seeds,
        ("controls",): controls,
        ("model", "fields"): file.model.fields or (),
        ("model", "user_statistics"): file.model.user_statistics,
    }
    if file.screen is not None:
        lists["screen", "seeds"] = file.screen.seeds
    if file.tune is not None:
        tried = ("seeds", "batch_size", "learning_rate", "learning_rate_factor", "versions")
        lists |= {("tune", name): getattr(file.tune, name) or () for name in tried}
    found = [problem for key in lists for problem in _repetitions(key, lists[key])]
    if file.screen is not None and file.screen.mode not in file.modes:
        text = unknown_name("mode of the file", file.screen.mode, file.modes)
        found.append(at(("screen", "mode"), text))
    if file.tune is not None:
        found += [
            at(("tune", "versions"), unknown_name("version", version, file.versions))
            for version in file.tune.versions or ()
            if version not in file.versions
        ]
        if file.tune.learning_rate_factor and BASELINE in file.modes:
            text = "the baseline has no image block; remove this line"
            found.append(at(("tune", "learning_rate_factor"), text))
    return found


def _repetitions(key: Key, values: Sequence[Any]) -> list[Problem]:
    repeated = [value for row, value in enumerate(values) if values.index(value) < row]
    return [
        at(key, f"{value!r} occurs {values.count(value)} times")
        for row, value in enumerate(repeated)
        if value not in repeated[:row]
    ]


def _field_problems(file: BenchmarkFile, dataset: DatasetManifest) -> list[Problem]:
    fields = {field.name: field for field in dataset.fields}
    usable = [name for name, field in fields.items() if field.kind != "text"]
    groups = [f.name for f in dataset.fields if f.of == "item" and f.kind == "categorical"]
    backbones = backbone_names()
    found = []
    if file.model.backbone not in backbones:
        text = unknown_name("backbone", file.model.backbone, backbones)
        found.append(at(("model", "backbone"), text))
    found += [
        at(("model", "fields"), unknown_name("field", name, usable))
        for name in file.model.fields or ()
        if name not in usable
    ]
    found += [
        at(("controls",), unknown_name("categorical item field", request.within, groups))
        for request in file.controls
        if request.within is not None and request.within not in groups
    ]
    return found


def _data_problems(
    workspace: Workspace,
    file: BenchmarkFile,
    dataset: DatasetManifest,
    versions: dict[str, VersionManifest],
    columns: list[Column],
) -> list[Problem]:
    """Return the problems that depend on data: periods, slices, batch sizes, modes on versions."""
    messages = slice_problems(
        file.slices, dataset, lambda field: impressions.vocabulary(workspace, dataset.name, field)
    )
    found = [Problem((), problem) for problem in messages]
    log = impressions.open_impressions(workspace, dataset.name, dataset.outcome)
    found += [
        at(
            ("dataset",),
            f"{problem}, so that models cannot be trained or evaluated; import other periods",
        )
        for period, problem in one_label(log)
        if period != "valid"
    ]
    train = log.rows("train")
    rows = train.stop - train.start
    found += _batch_problems(file, rows)
    for training in file.training:
        found += _warm_start_problems(training, rows)
    fitting = impressions.items_in_period(log, log.fitting_period)
    for manifest in versions.values():
        read = {
            manifest.of(field).field
            for column in columns
            for field in column.settings.reads
            if field is None or field in manifest.field_names
        }
        for field in manifest.field_names:
            if field not in read or manifest.of(field).kind == "codes":  # codes are not fitted
                continue
            reference = manifest.reference(field)
            table = embeddings.open_version(workspace, dataset.name, reference)
            fitted = np.flatnonzero(fitting & table.has_vector)
            if not len(fitted):
                text = f"version '{reference}' has no vector for any item of {log.fitting_period}"
                found.append(Problem((), text))
            few = len(fitted) <= MOST_COUNTED
            items = count_distinct(table.vectors[fitted]) if few else len(fitted)
            found += _mode_problems(file, columns, manifest, field, items)
    return found


def _mode_problems(
    file: BenchmarkFile,
    columns: Sequence[Column],
    manifest: VersionManifest,
    field: str,
    items: int,
) -> Iterator[Problem]:
    """Yield why modes cannot work on a vector field with so many distinct fitting vectors."""
    for column in columns:
        where = f"modes.{column.label} on version '{manifest.reference(field)}'"
        for name, piece in column.settings.pieces.items():
            if (piece.field or manifest.field) != field:
                continue
            of_part = f"{name}: " if name else ""
            for problem in piece.problems(items, manifest.of(field).width, file.model):
                yield Problem(("modes", column.mode), f"{where}: {of_part}{problem}")


def _vector_field_problems(
    versions: Mapping[str, VersionManifest], columns: Sequence[Column]
) -> list[Problem]:
    """Return a problem for each vector field that a mode names and a version does not have."""
    return [
        Problem(
            ("modes", column.mode, f"{name}.field" if name else "field"),
            f"modes.{column.label}: "
            + unknown_name(f"vector field of version '{version}'", piece.field, known),
        )
        for column in columns
        for name, piece in column.settings.pieces.items()
        for version, manifest in versions.items()
        for known in [manifest.field_names]
        if piece.field is not None and piece.field not in known
    ]


def _batch_problems(file: BenchmarkFile, impressions: int) -> list[Problem]:
    """Return a problem for each batch size that exceeds the training impressions."""
    tried = file.tune.batch_size if file.tune else ()
    sizes = {
        ("training", "batch_size"): [training.batch_size for training in file.training],
        ("tune", "batch_size"): tried,
    }
    return [
        Problem(
            key,
            f"{'.'.join(key)} {size:,} exceeds the {impressions:,} training impressions; choose at "
            f"most {max(impressions // 10, 1):,}",
        )
        for key, given in sizes.items()
        for size in given
        if size > impressions
    ]


def _warm_start_problems(training: TrainingSettings, impressions: int) -> list[Problem]:
    """Return a problem for each part of `train` that is smaller than a batch."""
    if not training.warm_start:
        return []
    warm = round(training.warm_start * impressions)
    parts = {"the baseline alone": warm, "images": impressions - warm}
    return [
        Problem(
            ("training", "warm_start"),
            f"training.warm_start {training.warm_start:g} leaves {rows:,} of {impressions:,} "
            f"training impressions for {whose}, less than a batch of {training.batch_size:,}; "
            "choose a value closer to 0.5",
        )
        for whose, rows in parts.items()
        if rows < training.batch_size
    ]


def _device_problems(device: str) -> list[Problem]:
    """Return a problem if the device cannot be used; imports torch only for a device."""
    if device == "cpu":
        return []
    import torch

    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = first_line(error)
        text = f"'{device}' cannot be used here: {reason}"
        return [at(("training", "device"), text)]
    return []
