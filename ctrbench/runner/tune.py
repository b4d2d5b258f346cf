"""Choose settings on `valid`: first the baseline's, then each mode's learning-rate factor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from ctrbench.display import Displayed
from ctrbench.errors import ConfigError
from ctrbench.executors import Executor
from ctrbench.injection import Injection
from ctrbench.plan import Matrix, TuneSettings
from ctrbench.runner.run import (
    Observer,
    missing_cells,
    require_intact,
    run_cells,
    stored_records,
    training_impressions,
    write_summaries,
)
from ctrbench.schema import Cell
from ctrbench.workspace import Workspace


@dataclass(frozen=True)
class Trial:
    """One candidate and its result on `valid`."""

    what: str  # "baseline", or a mode
    settings: dict[str, Any]
    valid: float | None  # mean headline metric over its cells; None if one of them failed
    cells: int


@dataclass(frozen=True)
class Tuning(Displayed, view="matrices.show_tuning"):
    """All trials and the chosen settings."""

    headline: str  # name of the metric
    trials: tuple[Trial, ...]
    training: dict[str, Any]  # chosen for the baseline, then fixed for all modes
    factors: dict[str, float]  # learning-rate factor by mode


def tune(workspace: Workspace, matrix: Matrix, jobs: int | Executor, observer: Observer) -> Tuning:
    """Train the candidates of the file's `tune` section. Each trial is an ordinary stored cell.

    Args:
        workspace: The workspace of the data set.
        matrix: The checked matrix.
        jobs: Number of cells trained at once on this machine, at least 1; or an executor.
        observer: Receives the progress.

    Raises:
        ConfigError: The file has no `tune` section with a candidate, `training` spans a grid, or
            every trial of the baseline or a mode failed.
    """
    if len(matrix.file.training) > 1:
        raise ConfigError(
            "the file's `training` spans a grid, but `ctrbench tune` chooses one training: give "
            "each of its settings one value."
        )
    wanted = matrix.file.tune
    if wanted is None or not (
        wanted.batch_size or wanted.learning_rate or wanted.learning_rate_factor
    ):
        raise ConfigError(
            "the file has no `tune` section with candidates: give batch_size, learning_rate or "
            "learning_rate_factor a list."
        )
    write_summaries(workspace, matrix)

    def measured(candidates: list[tuple[str, dict[str, Any], list[Cell]]]) -> list[Trial]:
        return _trials(workspace, matrix, candidates, jobs, observer)

    baseline = measured(_baseline_candidates(matrix, wanted))
    training = _best(baseline).settings
    held = _with_training(matrix, training)
    images = measured(_factor_candidates(held, wanted)) if wanted.learning_rate_factor else []
    factors = {}
    for mode in dict.fromkeys(trial.what for trial in images):
        own = [trial for trial in images if trial.what == mode]
        factors[mode] = _best(own).settings["learning_rate_factor"]
    return Tuning(matrix.file.headline, (*baseline, *images), training, factors)


def _baseline_candidates(
    matrix: Matrix, wanted: TuneSettings
) -> list[tuple[str, dict[str, Any], list[Cell]]]:
    (given,) = matrix.file.training
    points = product(
        wanted.batch_size or (given.batch_size,), wanted.learning_rate or (given.learning_rate,)
    )
    candidates = []
    for batch_size, learning_rate in points:
        settings = {"batch_size": batch_size, "learning_rate": learning_rate}
        tried = _with_training(matrix, settings)
        cells = [tried.cell(None, None, seed) for seed in wanted.seeds]
        candidates.append(("baseline", settings, cells))
    return candidates


def _factor_candidates(
    matrix: Matrix, wanted: TuneSettings
) -> list[tuple[str, dict[str, Any], list[Cell]]]:
    """Return the same factors on the same versions for every mode."""
    rows = [
        row
        for row in matrix.rows
        if row.control is None and (wanted.versions is None or row.version in wanted.versions)
    ]
    candidates = []
    modes = dict.fromkeys(column.mode for column in matrix.columns)
    for mode, factor in product(modes, wanted.learning_rate_factor):
        tried = [
            replace(column, settings=_with_factor(column.settings, factor))
            for column in matrix.columns
            if column.mode == mode
        ]
        cells = [
            matrix.cell(row, column, seed)
            for row, column, seed in product(rows, tried, wanted.seeds)
            if matrix.exists(row, column)
        ]
        if cells:
            candidates.append((mode, {"learning_rate_factor": factor}, cells))
    return candidates


def _with_factor(settings: Injection, factor: float) -> Injection:
    return settings.model_copy(update={"learning_rate_factor": factor})


def _with_training(matrix: Matrix, settings: dict[str, Any]) -> Matrix:
    training = matrix.file.training[0].model_copy(update=settings)
    file = matrix.file.model_copy(update={"training": (training,)})
    columns = tuple(replace(column, training=training) for column in matrix.columns)
    return replace(matrix, file=file, columns=columns)


def _trials(
    workspace: Workspace,
    matrix: Matrix,
    candidates: list[tuple[str, dict[str, Any], list[Cell]]],
    jobs: int | Executor,
    observer: Observer,
) -> list[Trial]:
    cells = [cell for _, _, own in candidates for cell in own]
    missing = missing_cells(workspace, cells)
    require_intact(workspace, missing)
    kinds = ", ".join(dict.fromkeys(what for what, _, _ in candidates))
    total = training_impressions(matrix.dataset, missing)
    count = "1 trial" if len(candidates) == 1 else f"{len(candidates)} trials"
    observer.begin(f"{count} of {kinds}", len(cells), len(missing), total)
    run_cells(workspace, missing, (), jobs, observer)
    records = stored_records(workspace, cells)
    trials = []
    for what, settings, own in candidates:
        values = [
            records[cell.hash].metrics["valid"].value(matrix.file.headline)
            for cell in own
            if records[cell.hash].status == "done"
        ]
        numbers = [value for value in values if value is not None]
        valid = float(np.mean(numbers)) if len(numbers) == len(own) else None
        trials.append(Trial(what, settings, valid, len(own)))
    return trials


def _best(trials: list[Trial]) -> Trial:
    done = [trial for trial in trials if trial.valid is not None]
    if not done:
        raise ConfigError(f"every trial of {trials[0].what} failed; see `ctrbench status`.")
    return max(done, key=lambda trial: trial.valid or 0.0)
