"""Progress of a matrix, and the expected time and memory of its missing cells."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ctrbench import embeddings
from ctrbench.display import Displayed
from ctrbench.injection import BASELINE
from ctrbench.loops import load_loops
from ctrbench.plan import Column, Matrix, Row
from ctrbench.runner.cell import intact, is_missing
from ctrbench.runner.in_progress import RunningCell, running_cells
from ctrbench.runner.memory import CellMemory, largest_memory, read_lengths
from ctrbench.runner.run import changed_modes, missing_cells, stored_records
from ctrbench.runner.workers import task_of
from ctrbench.schema import Cell, CellRecord
from ctrbench.store import Store
from ctrbench.workspace import Workspace

# If no cell is stored: measured with the default model on one core of a 2.25 GHz server processor:
FIRST_GUESS_S = 15e-6  # per impression trained, without its history
FIRST_GUESS_ITEM_S = 0.75e-6  # per history item of a trained impression


@dataclass(frozen=True)
class PlaceState:
    """The cells of one row and column, one per seed."""

    row: Row | None  # None: the baseline
    column: Column
    seeds: int
    done: int
    failed: int

    def plain(self) -> dict[str, Any]:
        """Return the names of row and column with the counts."""
        counts = {"seeds": self.seeds, "done": self.done, "failed": self.failed}
        row = self.row.label if self.row else BASELINE
        return {"row": row, "column": self.column.label, **counts}


@dataclass(frozen=True)
class CellState:
    """A cell of a matrix: what it is, its state, and what it requires of a machine."""

    hash: str
    label: str
    dataset: str
    version: str  # with its control; `none`: the baseline
    mode: str
    seed: int
    status: Literal["done", "failed", "missing"]
    gpus: int
    memory_bytes: int  # a lower bound


@dataclass(frozen=True)
class Failure:
    """A failed cell."""

    hash: str
    label: str
    reason: str


@dataclass(frozen=True)
class MatrixStatus(Displayed, view="matrices.show_status"):
    """Progress of a matrix."""

    dataset: str
    places: tuple[PlaceState, ...]  # the baseline's row first
    cells: int
    done: int
    failed: int
    missing: int
    running: tuple[RunningCell, ...]  # at this moment, by any process
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Expected:
    """The expected time and memory of training."""

    jobs: int  # as requested
    seconds: float
    cell_seconds: float
    source: Literal["from stored cells", "rough estimate"]
    bytes: float  # of all cells that train at once
    cell_bytes: float
    memory: CellMemory  # of the largest missing cell


@dataclass(frozen=True)
class RunPlan(Displayed, view="matrices.show_plan"):
    """The cells of a matrix, and the expected time and memory of the missing ones."""

    status: MatrixStatus
    to_train: int  # missing cells
    expected: Expected | None  # None: nothing is missing


@dataclass(frozen=True)
class Notices:
    """Facts that affect the interpretation of a matrix."""

    dataset: str
    findings: tuple[str, ...]  # faults found by the import
    changed_modes: Mapping[str, int]  # mode -> stored cells trained before its code changed
    zero_vectors: Mapping[str, int]  # version -> vectors without a direction
    plain_loops: bool  # whether the compiled loops are absent


def status(
    matrix: Matrix, records: Mapping[str, CellRecord], running: tuple[RunningCell, ...] = ()
) -> MatrixStatus:
    """Return the progress of a matrix.

    Args:
        matrix: The checked matrix.
        records: Its stored records, by cell hash.
        running: Its cells that are trained at this moment.
    """
    cells = list(matrix.cells())
    own = [records[cell.hash] for cell in cells if cell.hash in records]
    counts = Counter(record.status for record in own)
    failed = [record for record in own if record.status == "failed"]
    return MatrixStatus(
        dataset=matrix.dataset.name,
        places=tuple(
            _place(matrix, records, row, column)
            for row in (None, *matrix.rows)
            for column in matrix.columns
            if matrix.exists(row, column)
        ),
        cells=len(cells),
        done=counts["done"],
        failed=counts["failed"],
        missing=len(cells) - len(own),
        running=running,
        failures=tuple(Failure(one.hash, one.cell.label, one.reason) for one in failed),
    )


def planned(workspace: Workspace, matrix: Matrix, jobs: int) -> RunPlan:
    """Return the progress of a matrix, and the expected time and memory of its missing cells.

    Args:
        workspace: The workspace of the data set.
        matrix: The checked matrix.
        jobs: Number of cells trained at once, at least 1.

    Raises:
        DamagedError: A version of a missing cell changed after it was added.
    """
    cells = list(matrix.cells())
    records = stored_records(workspace, cells)
    missing = missing_cells(workspace, cells)
    for version in dict.fromkeys(cell.version for cell in missing if cell.version is not None):
        embeddings.require_intact(workspace, matrix.dataset.name, version)
    return RunPlan(
        status(matrix, records, running_cells(workspace, cells)),
        len(missing),
        _expected(workspace, matrix, records, missing, jobs) if missing else None,
    )


def cell_states(
    workspace: Workspace, matrix: Matrix, missing: bool, retry_failed: bool
) -> list[CellState]:
    """Return the cells of a matrix in the order of a run.

    Args:
        workspace: The workspace of the data set.
        matrix: The checked matrix.
        missing: Return only cells that a run trains.
        retry_failed: Whether a run trains failed cells again.
    """
    store, found = Store(workspace), []
    for cell in matrix.cells():
        if missing and not is_missing(store, cell, retry_failed, traced=False):
            continue
        record, needs = intact(store, cell), task_of(workspace, cell, None)
        found.append(
            CellState(
                hash=cell.hash,
                label=cell.label,
                dataset=cell.dataset,
                version=cell.version_label,
                mode=cell.mode,
                seed=cell.seed,
                status="missing" if record is None else record.status,
                gpus=needs.gpus,
                memory_bytes=needs.memory_bytes,
            )
        )
    return found


def notices(matrix: Matrix, records: Mapping[str, CellRecord]) -> Notices:
    """Return facts that affect the interpretation of a matrix.

    Args:
        matrix: The checked matrix.
        records: Its stored records, by cell hash.
    """
    zero = {name: one.zero_vectors for name, one in matrix.versions.items() if one.zero_vectors}
    return Notices(
        dataset=matrix.dataset.name,
        findings=matrix.dataset.findings,
        changed_modes=changed_modes(matrix, records),
        zero_vectors=zero,
        plain_loops=load_loops() is None,
    )


def _place(
    matrix: Matrix, records: Mapping[str, CellRecord], row: Row | None, column: Column
) -> PlaceState:
    hashes = [matrix.cell(row, column, seed).hash for seed in matrix.file.seeds]
    found = Counter(records[hash].status for hash in hashes if hash in records)
    return PlaceState(row, column, len(hashes), found["done"], found["failed"])


def _expected(
    workspace: Workspace,
    matrix: Matrix,
    records: Mapping[str, CellRecord],
    missing: list[Cell],
    jobs: int,
) -> Expected:
    cell_seconds, source = _cell_seconds(workspace, matrix, records)
    done = [record for record in records.values() if record.status == "done"]
    peaks = [record.peak_memory_bytes for record in done]
    memory = largest_memory(workspace, missing)
    cell_bytes = max([*peaks, memory.total])
    at_once = min(jobs, len(missing))
    return Expected(
        jobs=jobs,
        seconds=len(missing) * cell_seconds / at_once,
        cell_seconds=cell_seconds,
        source=source,
        bytes=at_once * cell_bytes,
        cell_bytes=cell_bytes,
        memory=memory,
    )


def _cell_seconds(
    workspace: Workspace, matrix: Matrix, records: Mapping[str, CellRecord]
) -> tuple[float, Literal["from stored cells", "rough estimate"]]:
    """Return the expected seconds per cell, and the source of the number."""
    done = [record for record in records.values() if record.status == "done"]
    if not done:
        same = Store(workspace).records(matrix.dataset.name)
        model = matrix.file.model.model_dump(mode="json", exclude_defaults=True)
        done = [
            one
            for one in same
            if one.status == "done" and not one.cell.imported and one.cell.model == model
        ]
    if done:
        return statistics.median(sum(r.seconds.values()) for r in done), "from stored cells"
    periods = matrix.dataset.periods
    rows = {name: stop - start for name, (start, stop) in periods.items()}
    epochs = statistics.fmean(training.epochs for training in matrix.file.training)
    passes = epochs * rows.get("train", 0)
    measured = rows.get("valid", 0) + rows.get("test", 0)
    items, _ = read_lengths(workspace, matrix.dataset.name, matrix.file.model.history_length)
    per_row = FIRST_GUESS_S + FIRST_GUESS_ITEM_S * items
    return (passes + measured / 3) * per_row + 1, "rough estimate"
