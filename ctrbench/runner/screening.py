"""Screen, then confirm: all versions with one cheap mode, the best of them with everything.

Source: the practice of COURIER (Yang et al. 2023, arXiv:2306.05001), which tuned its temperature by
SimScore and then trained Cluster ID.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist, fmean

import numpy as np

from ctrbench.errors import ConfigError, unknown_name
from ctrbench.plan import Matrix, ScreenSettings
from ctrbench.runner.run import Observer, run_matrix
from ctrbench.schema import CellRecord
from ctrbench.workspace import Workspace

FEWEST = 4  # versions, below which a rank correlation has no interval


@dataclass(frozen=True)
class Screened:
    """How a screen went."""

    settings: ScreenSettings
    valid: dict[str, float]  # version -> headline metric on `valid`, mean over seeds, best first
    kept: tuple[str, ...]
    first: Matrix  # what was trained to screen
    second: Matrix  # what is trained to confirm


@dataclass(frozen=True)
class Agreement:
    """How the screen's order goes with that of a mode in the whole matrix."""

    mode: str
    versions: int
    correlation: float  # Spearman
    low: float  # 95 %; NaN with fewer than four versions
    high: float


def plan(matrix: Matrix) -> tuple[ScreenSettings, Matrix]:
    """What to screen with, and the cells for it: no controls, and no A/A arm.

    Raises:
        ConfigError: the mode is none of the file's or spans a grid, or nothing would be left out.
    """
    settings = matrix.file.screen or ScreenSettings()
    columns = [column for column in matrix.columns if column.mode == settings.mode]
    if not columns:
        modes = list(dict.fromkeys(column.mode for column in matrix.columns))
        raise ConfigError(f"screen.mode: {unknown_name('mode of the file', settings.mode, modes)}")
    if len(columns) > 1:
        raise ConfigError(f"screen.mode: {settings.mode} spans a grid in this file; give one value")
    versions = matrix.file.versions
    if settings.keep >= len(versions):
        raise ConfigError(
            f"screen.keep: {settings.keep} of {len(versions)} versions leaves nothing out; "
            "`ctrbench run` trains them all"
        )
    narrow = matrix.narrowed(versions, [settings.mode], settings.seeds)
    rows = tuple(row for row in narrow.rows if row.control is None)
    file = narrow.file.model_copy(update={"repeat_baseline": False})
    return settings, Matrix(file, narrow.dataset, narrow.versions, narrow.columns, rows)


def screen(
    workspace: Workspace, matrix: Matrix, jobs: int, retry_failed: bool, observer: Observer
) -> Screened:
    """Train the screen's cells, as far as they are not stored, and choose on `valid`.

    Raises:
        ConfigError: see `plan`; or a version has no finished cell.
    """
    settings, first = plan(matrix)
    records = run_matrix(workspace, first, jobs, retry_failed, observer)
    valid = {row.version: _valid(first, records, row.version) for row in first.rows}
    without = [version for version, value in valid.items() if value is None]
    if without:
        raise ConfigError(
            f"no finished cell of {', '.join(without)} with {settings.mode}: `ctrbench status` "
            "says why; leave them out or run again with --retry-failed."
        )
    ordered = sorted(valid.items(), key=lambda pair: -(pair[1] or 0.0))
    kept = tuple(version for version, _ in ordered[: settings.keep])
    modes = [column.mode for column in matrix.columns]
    second = matrix.narrowed(kept, modes, matrix.file.seeds)
    return Screened(settings, {name: value or 0.0 for name, value in ordered}, kept, first, second)


def saved(screened: Screened, matrix: Matrix) -> tuple[int, int]:
    """Cells that screening and confirming take, and those of the whole matrix."""
    parts = (screened.first, screened.second)
    taken = {cell.hash for part in parts for cell in part.cells()}
    return len(taken), len({cell.hash for cell in matrix.cells()})


def agreements(
    matrix: Matrix, screened: Screened, records: dict[str, CellRecord]
) -> list[Agreement]:
    """Of modes whose cells are all stored: their order on `test` against the screen's on `valid`.

    The interval is that of Bonett and Wright 2000 (Psychometrika 65), over versions as drawn.
    """
    found = []
    versions = list(screened.valid)
    for column in matrix.columns:
        means = []
        for version in versions:
            row = next(r for r in matrix.rows if r.version == version and r.control is None)
            hashes = [matrix.cell(row, column, seed).hash for seed in matrix.file.seeds]
            values = [
                getattr(records[h].metrics["test"], matrix.file.headline)
                for h in hashes
                if h in records and records[h].status == "done"
            ]
            if len(values) < len(hashes) or None in values:
                break
            means.append(fmean(values))
        else:
            correlation, low, high = _spearman(list(screened.valid.values()), means)
            found.append(Agreement(column.label, len(versions), correlation, low, high))
    return found


def _valid(matrix: Matrix, records: dict[str, CellRecord], version: str) -> float | None:
    row = next(row for row in matrix.rows if row.version == version)
    (column,) = matrix.columns
    hashes = [matrix.cell(row, column, seed).hash for seed in matrix.file.seeds]
    values = [
        getattr(records[h].metrics["valid"], matrix.file.headline)
        for h in hashes
        if h in records and records[h].status == "done"
    ]
    values = [value for value in values if value is not None]
    return fmean(values) if values else None


def _spearman(one: list[float], two: list[float]) -> tuple[float, float, float]:
    """Correlation of ranks, and its 95 % interval."""
    from scipy.stats import rankdata

    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return 0.0, math.nan, math.nan
    found = float(np.corrcoef(rankdata(one), rankdata(two))[0, 1])
    if len(one) < FEWEST or abs(found) > 1 - 1e-12:
        return found, math.nan, math.nan
    reach = NormalDist().inv_cdf(0.975) * math.sqrt((1 + found**2 / 2) / (len(one) - 3))
    low, high = (math.tanh(math.atanh(found) + sign * reach) for sign in (-1, 1))
    return found, low, high
