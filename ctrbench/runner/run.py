"""Run the missing cells of a matrix, each in its own process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from itertools import product
from typing import Protocol

import numpy as np

from ctrbench import embeddings, impressions, plugins
from ctrbench.atomic import sweep
from ctrbench.batches.slots import HistorySlots
from ctrbench.environment import environment
from ctrbench.errors import ConfigError, DamagedError, StoreError
from ctrbench.executors import (
    NO_LIMITS,
    Admission,
    Executor,
    InProcess,
    Limits,
    Processes,
    Program,
    Task,
)
from ctrbench.injection import code_hash
from ctrbench.injection._combination import JOINT
from ctrbench.metrics import Metric, every, find, judged
from ctrbench.plan import Matrix
from ctrbench.runner.cell import failed_record, is_missing
from ctrbench.runner.helping import helpers
from ctrbench.runner.in_progress import cell_lock
from ctrbench.runner.measure import (
    WHOLE,
    evaluate_period,
    of_ranking,
    scratch_of,
    slice_metrics,
    user_influences,
)
from ctrbench.runner.memory import require_memory
from ctrbench.runner.probes import probe_predictions
from ctrbench.runner.reference import ceiling_metrics, reference_metrics
from ctrbench.runner.workers import Local, Message, input_files, preload, results_of, task_of
from ctrbench.schema import MODE_CODE, Cell, CellRecord, DatasetManifest, Metrics
from ctrbench.settings import TrainingSettings
from ctrbench.slices import Slice
from ctrbench.store import DatasetSummary, Store
from ctrbench.workspace import Workspace


class Observer(Protocol):
    """Receives the progress of a run; the CLI implements it."""

    def begin(self, what: str, cells: int, missing: int, impressions: int) -> None:
        """Announce a run.

        Args:
            what: What is run, for display.
            cells: Number of cells.
            missing: Number of cells that are trained; the others are stored.
            impressions: Number of impressions that these train on, over all epochs and cells.
        """
        ...

    def progress(self, cell: Cell, share: float) -> None:
        """Report the progress of a cell.

        Args:
            cell: The cell.
            share: Completed share of its work, in [0, 1].
        """
        ...

    def retried(self, cell: Cell, reason: str) -> None:
        """Report that the process of a cell ended, and that the cell is trained once more.

        Args:
            cell: The cell.
            reason: Why its process ended.
        """
        ...

    def finished(self, record: CellRecord) -> None:
        """Report that a cell has been stored, by this run or a concurrent one."""
        ...


class Silent:
    """The observer that shows nothing."""

    def begin(self, what: str, cells: int, missing: int, impressions: int) -> None:
        """Ignore the start of a run."""

    def progress(self, cell: Cell, share: float) -> None:
        """Ignore the progress of a cell."""

    def retried(self, cell: Cell, reason: str) -> None:
        """Ignore a cell that is trained once more."""

    def finished(self, record: CellRecord) -> None:
        """Ignore a finished cell."""


SILENT = Silent()
_measured_here: set[tuple[str, type[Metric]]] = set()  # hashes of cells, and metrics of the session


def stored_records(workspace: Workspace, cells: Iterable[Cell]) -> dict[str, CellRecord]:
    """Return the stored records of the given cells, by cell hash.

    Args:
        workspace: The workspace whose results are read.
        cells: The cells to look up.

    Returns:
        The records by cell hash. A damaged one is a failure that states the damage.
    """
    store, found = Store(workspace), {}
    for cell in cells:
        try:
            record = store.read(cell)
        except DamagedError as error:
            record = failed_record(cell, str(error), {})
        if record is not None:
            found[cell.hash] = record
    return found


def missing_cells(
    workspace: Workspace,
    cells: Iterable[Cell],
    retry_failed: bool = False,
    traced: bool = False,
    keep_models: bool = False,
) -> list[Cell]:
    """Return the cells that must be trained.

    Args:
        workspace: The workspace whose results are read.
        cells: The cells to look up.
        retry_failed: Include failed cells.
        traced: Include cells without a trace.
        keep_models: Include cells without stored weights.

    Returns:
        The cells in their order; a cell whose record is damaged is missing.
    """
    store = Store(workspace)
    return [cell for cell in cells if is_missing(store, cell, retry_failed, traced, keep_models)]


def training_impressions(dataset: DatasetManifest, cells: Iterable[Cell]) -> int:
    """Return the number of impressions that cells train on, over all epochs and cells.

    Args:
        dataset: The data set of the cells.
        cells: The cells to train.
    """
    start, stop = dataset.periods["train"]
    passes = (TrainingSettings.model_validate(cell.training) for cell in cells)
    return sum(round((1 - one.warm_start) * one.epochs * (stop - start)) for one in passes)


def changed_modes(matrix: Matrix, records: Mapping[str, CellRecord]) -> dict[str, int]:
    """Return the modes whose code changed since training, and the number of affected cells.

    Args:
        matrix: The checked matrix.
        records: Its stored records, by cell hash.
    """
    found: dict[str, int] = {}
    for column in matrix.columns:
        code = code_hash(column.settings)
        rows = [row for row in matrix.rows if matrix.exists(row, column)]
        for row, seed in product(rows, matrix.file.seeds):
            record = records.get(matrix.cell(row, column, seed).hash)
            if record is not None and record.environment.get(MODE_CODE, code) != code:
                found[column.mode] = found.get(column.mode, 0) + 1
    return found


def run_cells(
    workspace: Workspace,
    cells: list[Cell],
    slices: tuple[Slice, ...],
    jobs: int | Executor,
    observer: Observer,
    retry_failed: bool = False,
    traced: bool = False,
    keep_models: bool = False,
) -> None:
    """Train the given cells. Every cell ends with a record, also a failed one.

    Concurrent runs share the work: each waits for the cells that the other trains.

    Args:
        workspace: The workspace of the data set.
        cells: The cells to train.
        slices: Slices of the test period to measure.
        jobs: Number of cells trained at once on this machine, at least 1; or an executor.
        observer: Receives the progress.
        retry_failed: Train cells again whose record is a failure.
        traced: Record how each cell learns.
        keep_models: Store the weights of each cell.

    Raises:
        ConfigError: Some cells do not fit into the memory of the executor, or other processes would
            need a class that only this one has.
        CtrBenchError: Results cannot be written; cells stored so far remain.
    """
    if not cells:
        return
    executor = jobs if isinstance(jobs, Executor) else Processes(jobs)
    require_memory(workspace, cells, executor.memory_bytes())
    known = tuple(environment().items())
    parts = tuple(part.model_dump_json() for part in slices)
    by_json = {cell.model_dump_json(): cell for cell in cells}
    messages = (Message(text, parts, known, retry_failed, traced, keep_models) for text in by_json)
    tasks = [task_of(workspace, by_json[one.cell], one) for one in messages]
    results = results_of(executor, workspace, retry_failed, traced, keep_models)
    program = Program(results.work, workspace.home, input_files(workspace, cells), preload(cells))

    def admit(task: Task) -> Admission:
        return results.admit(by_json[task.message.cell])

    def progressed(task: Task, share: float) -> None:
        observer.progress(by_json[task.message.cell], share)

    if here := defined_here(cells, slices):
        if executor.apart or executor.limits != NO_LIMITS or executor.jobs != 1:
            raise ConfigError(
                f"jobs {executor.jobs} is not possible with classes of this session "
                f"({', '.join(here)}): other processes cannot import them. Use jobs=1, or move "
                "them to a package with an entry point."
            )
        executor = InProcess(progressed=progressed)
    with closing(results), closing(executor.run(tasks, program, admit)) as events:
        for event in events:
            cell = by_json[event.task.message.cell]
            match event.kind:
                case "progress":
                    results.progress(cell, event.value)
                    observer.progress(cell, event.value)
                case "retried":
                    observer.retried(cell, event.value)
                case "died":
                    observer.finished(results.failed(cell, event.value))
                case "dropped":
                    observer.finished(results.stored(cell))
                case "done":
                    observer.finished(results.done(cell, event.value))


def run_one(
    workspace: Workspace,
    matrix: Matrix,
    cell: Cell,
    retry_failed: bool = False,
    traced: bool = False,
    keep_models: bool = False,
    limits: Limits = NO_LIMITS,
    local_processes: int = 1,
) -> CellRecord:
    """Train one cell, unless it is stored, and return its record.

    Without limits it is trained in this process, else in another one, which can be stopped. If
    another command trains the cell, this one waits for its record. If torchrun started several
    processes, the first one calls this function, and the others call `helping.help_first`.

    Args:
        workspace: The workspace of the data set.
        matrix: The checked matrix.
        cell: One of its cells.
        retry_failed: Train the cell again if its record is a failure.
        traced: Record how the cell learns.
        keep_models: Store the weights.
        limits: Limits of the cell, which apply only to a single process.
        local_processes: Number of processes of this machine that torchrun started.

    Raises:
        ConfigError: The cell does not fit into this machine's memory, or there are limits and
            several processes.
        DamagedError: The data set or the version is damaged.
        CtrBenchError: The result cannot be written.
    """
    from ctrbench.distributed import Processes as Group

    if limits != NO_LIMITS and Group().count > 1:
        raise ConfigError(
            "limits (--max-time, --max-memory) apply to a cell in a single process. Under "
            "torchrun, let the scheduler limit the job, as Slurm does with --time and --mem."
        )
    require_intact(workspace, missing_cells(workspace, [cell], retry_failed, traced, keep_models))
    if limits != NO_LIMITS:
        how = SILENT, retry_failed, traced, keep_models
        run_cells(workspace, [cell], matrix.file.slices, Processes(1, limits), *how)
        return stored_records(workspace, [cell])[cell.hash]
    require_memory(workspace, [cell], processes=local_processes)
    parts = tuple(part.model_dump_json() for part in matrix.file.slices)
    known = tuple(environment().items())
    message = Message(cell.model_dump_json(), parts, known, retry_failed, traced, keep_models)
    with helpers():
        text = Local.work(message, workspace.home, lambda share: None)
    return CellRecord.model_validate_json(text)


def require_intact(workspace: Workspace, cells: Iterable[Cell]) -> None:
    """Check the content of the data sets and versions that cells read.

    Args:
        workspace: The workspace of the data sets.
        cells: The cells to train.

    Raises:
        DamagedError: Files are damaged, or were changed after they were stored.
    """
    listed = list(cells)
    for dataset in dict.fromkeys(cell.dataset for cell in listed):
        impressions.require_intact(workspace, dataset)
    for dataset, version in dict.fromkeys((cell.dataset, cell.version) for cell in listed):
        if version is not None:
            embeddings.require_intact(workspace, dataset, version)


def defined_here(cells: Iterable[Cell], slices: Iterable[Slice]) -> list[str]:
    """Return what cells need and only this process has, because a notebook or script defines it.

    Args:
        cells: The cells to train.
        slices: The slices to measure.
    """
    modes = {part for cell in cells for part in cell.mode.split(JOINT)}
    rules = {one.rule for one in slices}
    used = {
        "mode": [name for name in plugins.session("ctrbench.injection") if name in modes],
        "metric": list(plugins.session("ctrbench.metrics")),
        "slice rule": [name for name in plugins.session("ctrbench.slices") if name in rules],
    }
    return [f"{kind} {name}" for kind, names in used.items() for name in names]


def run_matrix(
    workspace: Workspace,
    matrix: Matrix,
    jobs: int | Executor = 1,
    retry_failed: bool = False,
    observer: Observer = SILENT,
    traced: bool = False,
    keep_models: bool = False,
) -> dict[str, CellRecord]:
    """Train the missing cells and return the records of the whole matrix, by cell hash.

    Args:
        workspace: The workspace of the data set.
        matrix: The checked matrix.
        jobs: Number of cells trained at once on this machine, at least 1; or an executor.
        retry_failed: Train failed cells again.
        observer: Receives the progress.
        traced: Record how each cell learns; cells stored without a trace are trained again.
        keep_models: Store the weights; cells stored without them are trained again.

    Raises:
        DamagedError: The data set or a version is damaged.
        CtrBenchError: The workspace lacks the data, or cannot be written.
    """
    sweep(workspace.data, workspace.embeddings, workspace.results, workspace.cache)
    cells = list(matrix.cells())
    slices = matrix.file.slices
    missing = missing_cells(workspace, cells, retry_failed, traced, keep_models)
    executor = jobs if isinstance(jobs, Executor) else Processes(jobs)
    if missing and not defined_here(missing, slices):
        executor.prepare(preload(missing))
    require_intact(workspace, missing)
    write_summaries(workspace, matrix)
    total = training_impressions(matrix.dataset, missing)
    observer.begin(matrix.dataset.name, len(cells), len(missing), total)
    run_cells(workspace, missing, slices, executor, observer, retry_failed, traced, keep_models)
    return completed(workspace, matrix)


def completed(workspace: Workspace, matrix: Matrix) -> dict[str, CellRecord]:
    """Return the stored records of a matrix, by cell hash, with everything that its table shows.

    Args:
        workspace: The workspace that holds the results.
        matrix: The checked matrix.

    """
    return complete(workspace, matrix, stored_records(workspace, matrix.shown_cells()))


def complete(
    workspace: Workspace, matrix: Matrix, records: dict[str, CellRecord]
) -> dict[str, CellRecord]:
    """Add missing and requested metrics, slices and influence values, from predictions.

    Metrics that this session defines are measured once per session, because a notebook may define
    them again.

    Args:
        workspace: The workspace of the data set.
        matrix: The checked matrix, whose file may name new slices and metrics.
        records: The stored records by cell hash; completed ones are replaced in place.

    Returns:
        `records`. A record whose predictions are not stored remains incomplete, and so does one in
        a workspace without permission to write. If its influence
        values are damaged and cannot be computed anew, it becomes a failure that states the damage.
    """
    store, slices = Store(workspace), matrix.file.slices
    metrics = [find(name) for name in matrix.file.metrics]
    lacking, unsliced, damage = [], set[str](), {}
    for record in records.values():
        if record.status != "done":
            continue
        try:
            store.require_influence(record)
            measured = store.measured(record.cell)
        except DamagedError as error:
            measured = set()
            damage[record.hash] = error
        complete = {WHOLE, *(part.key for part in slices)} <= measured
        complete = complete and not _unmeasured(record)
        if not complete or any(part.key not in record.slices for part in slices):
            unsliced.add(record.hash)
        if record.hash in unsliced or _lacks_metrics(record, metrics, slices):
            lacking.append(record)
    for key, error in damage.items():
        records[key] = failed_record(records[key].cell, str(error), {})
    if not lacking or matrix.dataset.name not in impressions.names(workspace):
        return records
    sweep(workspace.results)
    impressions.require_intact(workspace, matrix.dataset.name)
    log = impressions.open_impressions(workspace, matrix.dataset.name, matrix.dataset.outcome)
    slots, test = HistorySlots(log, matrix.file.model.history_length), log.rows("test")
    for record in lacking:
        try:
            p_click = store.predictions(record.cell, "test", test.stop - test.start)
        except DamagedError as error:
            records[record.hash] = failed_record(record.cell, str(error), {})
            continue
        if p_click is None:
            continue
        found: dict[str, Metrics] = {}
        influence: dict[str, np.ndarray] = {}
        probes: dict[str, Metrics] = {}
        if record.hash in unsliced:
            found = slice_metrics(workspace, slots, p_click, slices)
            found[WHOLE] = evaluate_period(log, WHOLE, p_click, scratch=scratch_of(workspace))
            influence = user_influences(workspace, slots, p_click, slices)
            probed = probe_predictions(workspace, record.cell, slots, p_click, slices)
            influence, probes = influence | probed.influence, probed.metrics
        if metrics:
            asked = slice_metrics(workspace, slots, p_click, slices, metrics)
            asked[WHOLE] = evaluate_period(log, WHOLE, p_click, metrics, scratch_of(workspace))
            found = {key: found.get(key, one).merged(one.values) for key, one in asked.items()}
            influence |= user_influences(workspace, slots, p_click, slices, metrics)
        if record.cell.scores:
            found = {key: of_ranking(one) for key, one in found.items()}
        # without permission to write, the record stays incomplete
        with suppress(StoreError), cell_lock(workspace, record.cell, wait=True):
            newest = store.read(record.cell) or record
            whole = _with_new(newest.metrics[WHOLE], found.pop(WHOLE), metrics)
            sliced = {
                key: newest.slices[key].merged(one.values) if key in newest.slices else one
                for key, one in found.items()
            }
            more = {
                "metrics": newest.metrics | {WHOLE: whole},
                "slices": newest.slices | sliced,
                "probes": newest.probes | probes,
            }
            merged = newest.model_copy(update=more)
            _measured_here.update((record.hash, one) for one in _own_metrics())
            kept = {} if record.hash in damage else store.influence(record.cell)
            records[record.hash] = store.update(merged, kept | influence)
    return records


def _own_metrics() -> tuple[type[Metric], ...]:
    return tuple(plugins.session("ctrbench.metrics").values())


def _unmeasured(record: CellRecord) -> bool:
    """Return whether a record lacks a metric, or one of this session was not measured by it."""
    known = record.metrics["test"].values
    return any(metric.name not in known for metric in every()) or any(
        (record.hash, one) not in _measured_here for one in _own_metrics()
    )


def _with_new(stored: Metrics, found: Metrics, metrics: Sequence[Metric]) -> Metrics:
    """Return stored metrics with those that are new, requested, or defined by this session."""
    own = {*plugins.session("ctrbench.metrics"), *(metric.name for metric in metrics)}
    return stored.merged(
        {k: v for k, v in found.values.items() if k in own or k not in stored.values}
    )


def _lacks_metrics(record: CellRecord, metrics: Sequence[Metric], slices: Sequence[Slice]) -> bool:
    """Return whether a requested metric of the test period, or of a slice, is not stored."""
    measured = [record.metrics[WHOLE]]
    measured += [record.slices[part.key] for part in slices if part.key in record.slices]
    return any(metric.name not in one.values for metric in metrics for one in measured)


def write_summaries(workspace: Workspace, matrix: Matrix) -> None:
    """Store the facts that tables require, so that they can be printed without the data.

    Args:
        workspace: The workspace of the data set.
        matrix: The checked matrix.

    Raises:
        StoreError: The results cannot be written.
    """
    store = Store(workspace)
    try:
        known = store.read_summary(matrix.dataset.name, matrix.dataset.outcome)
        ceiling = store.ceiling_influence(matrix.dataset.name)
    except DamagedError:  # both are made again
        known, ceiling = None, {}
    stale = bool(ceiling) and any(  # an older format without items, or without this metric
        f"{WHOLE}/{metric.name}/items" not in ceiling for metric in judged()
    )
    if known is None or known.manifest != matrix.dataset or stale:
        log = impressions.open_impressions(workspace, matrix.dataset.name, matrix.dataset.outcome)
        reference = reference_metrics(log)
        summary = DatasetSummary(
            manifest=matrix.dataset, reference=reference, ceiling=ceiling_metrics(log)
        )
        slots = HistorySlots(log, matrix.file.model.history_length)
        moved = {}
        if log.p_true is not None:
            moved = user_influences(workspace, slots, log.p_true[log.rows("test")], ())
        store.write_summary(summary, moved)
    for manifest in matrix.versions.values():
        try:
            stored = store.read_version(manifest.dataset, manifest.name)
        except DamagedError:
            stored = None
        if stored != manifest:
            store.write_version(manifest)
