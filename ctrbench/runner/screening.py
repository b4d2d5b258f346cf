"""Screen all versions with one cheap mode, then confirm the best ones with all modes and seeds.

Source: COURIER (Yang et al. 2023, arXiv:2306.05001) tunes its temperature by SimScore and then
trains Cluster ID.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist, fmean

import numpy as np

from ctrbench.display import Displayed
from ctrbench.errors import ConfigError, unknown_name
from ctrbench.executors import Executor
from ctrbench.plan import Matrix, ScreenSettings
from ctrbench.runner.run import Observer, run_matrix
from ctrbench.schema import CellRecord
from ctrbench.workspace import Workspace

FEWEST = 4  # versions that the interval of a rank correlation requires


@dataclass(frozen=True)
class Screened:
    """The result of a screen."""

    settings: ScreenSettings
    valid: dict[str, float]  # version -> headline metric on `valid`, mean over seeds, best first
    kept: tuple[str, ...]
    first: Matrix  # the cells of the screen
    second: Matrix  # the cells that confirm it


@dataclass(frozen=True)
class RankAgreement:
    """Rank correlation between the screen and one mode of the whole matrix."""

    mode: str
    versions: int
    correlation: float  # Spearman
    low: float  # bounds of the 95 % interval; NaN with fewer than four versions
    high: float


@dataclass(frozen=True)
class Screening(Displayed, view="screening.show"):
    """The result of a screen, with its agreement with the whole matrix."""

    headline: str  # name of the metric
    mode: str
    seeds: tuple[int, ...]
    valid: dict[str, float]  # version -> headline metric on `valid`, best first
    kept: tuple[str, ...]
    cells: int  # of screen and confirmation
    cells_whole: int  # of the whole matrix
    agreements: tuple[RankAgreement, ...]


def plan(matrix: Matrix) -> tuple[ScreenSettings, Matrix]:
    """Return the screen's settings and its matrix, without controls and the A/A arm.

    Raises:
        ConfigError: The file does not have the mode, the mode spans a grid, or the screen would
            keep every version.
    """
    settings = matrix.file.screen or ScreenSettings()
    columns = [column for column in matrix.columns if column.mode == settings.mode]
    if not columns:
        modes = list(dict.fromkeys(column.mode for column in matrix.columns))
        raise ConfigError(f"screen.mode: {unknown_name('mode of the file', settings.mode, modes)}")
    if len(columns) > 1:
        raise ConfigError(f"screen.mode: {settings.mode} spans a grid in this file; give one value")
    rows = [row for row in matrix.rows if row.control is None and matrix.exists(row, columns[0])]
    versions = tuple(row.version for row in rows)
    if settings.keep >= len(versions):
        raise ConfigError(
            f"screen.keep: {settings.keep} of {len(versions)} versions excludes none; give a "
            "smaller number, or train all versions with `ctrbench run`"
        )
    narrow = matrix.narrowed(versions, [settings.mode], settings.seeds)
    file = narrow.file.model_copy(update={"repeat_baseline": False})
    return settings, Matrix(file, narrow.dataset, narrow.versions, narrow.columns, tuple(rows))


def screen(
    workspace: Workspace,
    matrix: Matrix,
    jobs: int | Executor,
    retry_failed: bool,
    observer: Observer,
) -> Screened:
    """Train the missing cells of the screen and choose versions on `valid`.

    Args:
        workspace: The workspace of the data set.
        matrix: The checked matrix.
        jobs: Number of cells trained at once on this machine, at least 1; or an executor.
        retry_failed: Train failed cells again.
        observer: Receives the progress.

    Raises:
        ConfigError: The screen cannot be planned (see `plan`), or a version has no finished cell.
    """
    settings, first = plan(matrix)
    records = run_matrix(workspace, first, jobs, retry_failed, observer)
    valid = {row.version: _valid(first, records, row.version) for row in first.rows}
    without = [version for version, value in valid.items() if value is None]
    if without:
        raise ConfigError(
            f"{', '.join(without)}: no finished cell with {settings.mode}. `ctrbench status` shows "
            "the reason; remove these versions, or run again with --retry-failed."
        )
    ordered = sorted(valid.items(), key=lambda pair: -(pair[1] or 0.0))
    kept = tuple(version for version, _ in ordered[: settings.keep])
    modes = [column.mode for column in matrix.columns]
    second = matrix.narrowed(kept, modes, matrix.file.seeds)
    return Screened(settings, {name: value or 0.0 for name, value in ordered}, kept, first, second)


def saved(screened: Screened, matrix: Matrix) -> tuple[int, int]:
    """Return the number of cells that screening and confirming train, and of the whole matrix.

    Args:
        screened: The result of the screen.
        matrix: The whole matrix.
    """
    parts = (screened.first, screened.second)
    taken = {cell.hash for part in parts for cell in part.cells()}
    return len(taken), len({cell.hash for cell in matrix.cells()})


def agreements(
    matrix: Matrix, screened: Screened, records: dict[str, CellRecord]
) -> list[RankAgreement]:
    """Return the rank correlation of the screen on `valid` with each mode on `test`.

    Modes with a missing cell are left out. The interval treats versions as a random sample.

    Args:
        matrix: The whole matrix.
        screened: The result of the screen.
        records: The stored records of the matrix, by cell hash.

    Source: Bonett and Wright 2000, Psychometrika 65, for the interval.
    """
    found = []
    versions = list(screened.valid)
    for column in matrix.columns:
        means = []
        for version in versions:
            row = next(r for r in matrix.rows if r.version == version and r.control is None)
            hashes = [matrix.cell(row, column, seed).hash for seed in matrix.file.seeds]
            values = [
                records[h].metrics["test"].value(matrix.file.headline)
                for h in hashes
                if h in records and records[h].status == "done"
            ]
            defined = [value for value in values if value is not None]
            if len(defined) < len(hashes):
                break
            means.append(fmean(defined))
        else:
            correlation, low, high = _spearman(list(screened.valid.values()), means)
            found.append(RankAgreement(column.label, len(versions), correlation, low, high))
    return found


def screening(matrix: Matrix, screened: Screened, records: dict[str, CellRecord]) -> Screening:
    """Return the result of a screen, with its agreement with the whole matrix.

    Args:
        matrix: The whole matrix.
        screened: The result of the screen.
        records: The stored records of the whole matrix, by cell hash.
    """
    taken, whole = saved(screened, matrix)
    return Screening(
        headline=matrix.file.headline,
        mode=screened.settings.mode,
        seeds=screened.settings.seeds,
        valid=screened.valid,
        kept=screened.kept,
        cells=taken,
        cells_whole=whole,
        agreements=tuple(agreements(matrix, screened, records)),
    )


def _valid(matrix: Matrix, records: dict[str, CellRecord], version: str) -> float | None:
    row = next(row for row in matrix.rows if row.version == version)
    (column,) = matrix.columns
    hashes = [matrix.cell(row, column, seed).hash for seed in matrix.file.seeds]
    values = [
        records[h].metrics["valid"].value(matrix.file.headline)
        for h in hashes
        if h in records and records[h].status == "done"
    ]
    values = [value for value in values if value is not None]
    return fmean(values) if values else None


def _spearman(one: list[float], two: list[float]) -> tuple[float, float, float]:
    """Return the rank correlation and the bounds of its 95 % interval."""
    from scipy.stats import rankdata

    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return 0.0, math.nan, math.nan
    found = float(np.corrcoef(rankdata(one), rankdata(two))[0, 1])
    if len(one) < FEWEST or abs(found) > 1 - 1e-12:
        return found, math.nan, math.nan
    half_width = NormalDist().inv_cdf(0.975) * math.sqrt((1 + found**2 / 2) / (len(one) - 3))
    low, high = (math.tanh(math.atanh(found) + sign * half_width) for sign in (-1, 1))
    return found, low, high
