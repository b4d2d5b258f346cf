"""Run one cell: prepare, fit, predict, measure, store."""

from __future__ import annotations

import resource
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrbench.atomic import HeldError
from ctrbench.batches.slots import HistorySlots
from ctrbench.energy import EnergyMeter
from ctrbench.errors import CtrBenchError, DamagedError, StoreError
from ctrbench.impressions.periods import count_targets
from ctrbench.injection import code_hash, load_mode
from ctrbench.loops import load_loops
from ctrbench.runner.helping import helped
from ctrbench.runner.in_progress import cell_lock, published
from ctrbench.runner.measure import (
    evaluate_period,
    scratch_of,
    slice_metrics,
    user_influences,
)
from ctrbench.runner.parts import CellParts, build
from ctrbench.runner.preparation import read_tables
from ctrbench.runner.probes import probe_model, probe_predictions
from ctrbench.runner.tracing import Recorder, trace
from ctrbench.runner.warm_start import resume, warm_state
from ctrbench.schema import ENERGY, LOOPS, MODE_CODE, PROCESSES, Cell, CellRecord, CurvePoint
from ctrbench.seeding import scoped_torch_seed
from ctrbench.settings import TrainingSettings
from ctrbench.slices import Slice
from ctrbench.store import Store
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from ctrbench.models._base import Backbone
    from ctrbench.training import ShareProgress

MEASURED_PERIODS = ("valid", "test")


@dataclass
class _Stopwatch:
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = self.seconds.get(stage, 0.0) + time.perf_counter() - start
            self.seconds[stage] = round(seconds, 3)


@dataclass(frozen=True)
class _Learned:
    """A trained model and its predictions by period."""

    parts: CellParts
    curve: tuple[CurvePoint, ...]
    recorder: Recorder | None
    predictions: dict[str, np.ndarray]


@dataclass(frozen=True)
class _Trained:
    """The outcome of a training."""

    record: CellRecord
    predictions: dict[str, np.ndarray]
    first_row: dict[str, int]
    influence: dict[str, np.ndarray]
    parts: CellParts

    @property
    def state(self) -> dict[str, np.ndarray]:
        """Return the parameters and buffers of the model by name."""
        state = self.parts.model.state_dict()
        return {name: values.detach().cpu().numpy() for name, values in state.items()}


def run_cell(
    workspace: Workspace,
    cell: Cell,
    slices: tuple[Slice, ...],
    environment: dict[str, str],
    progress: ShareProgress,
    retry_failed: bool = False,
    traced: bool = False,
    keep_model: bool = False,
) -> CellRecord | None:
    """Train and store one cell, or store why it failed.

    A stored record is returned unchanged, with two exceptions. A failed cell is trained again if
    `retry_failed` is set. A cell without a trace or weights is trained again if `traced` or
    `keep_model` is set; only the trace and the weights are stored then.

    Args:
        workspace: The workspace of the data set.
        cell: The cell to train.
        slices: Slices of the test period to measure.
        environment: Library versions, commit and processor, for the record.
        progress: Receives the completed share of the work, in [0, 1].
        retry_failed: Train the cell again if its record is a failure.
        traced: Record how the cell learns.
        keep_model: Store the weights.

    Returns:
        The record; None if another process is training the cell.

    Raises:
        StoreError: The result cannot be written, or a stored cell, trained again for its weights,
            has other predictions; nothing is stored.
    """
    store = Store(workspace)
    try:
        with cell_lock(workspace, cell):
            stored = intact(store, cell)
            if stored is not None and not is_missing(store, cell, retry_failed, traced, keep_model):
                return stored
            with published(workspace, cell, progress) as publish:
                if stored is not None and stored.status == "done":  # trace or weights are missing
                    with _one_thread():
                        again = _train(workspace, cell, (), publish, traced)
                    if keep_model:
                        _require_same(store, stored, again, environment)
                        store.write_model(cell, again.state)
                    return stored
                return train_cell(workspace, cell, slices, environment, publish, traced, keep_model)
    except HeldError:
        return None


def intact(store: Store, cell: Cell) -> CellRecord | None:
    """Return the stored record of a cell; None if there is none or it is damaged.

    Damaged influence values do not matter if they can be computed from stored predictions.

    Args:
        store: The store of the workspace.
        cell: The cell to look up.
    """
    try:
        record = store.read(cell)
        if record is not None and record.status == "done" and not store.has_predictions(cell):
            store.require_influence(record)
    except DamagedError:
        return None
    return record


def is_missing(
    store: Store, cell: Cell, retry_failed: bool, traced: bool, keep_model: bool = False
) -> bool:
    """Return whether a cell must be trained.

    Args:
        store: The store of the workspace.
        cell: The cell to look up.
        retry_failed: Whether a failed record counts as missing.
        traced: Whether a record without a trace counts as missing.
        keep_model: Whether a record without weights counts as missing.
    """
    record = intact(store, cell)
    if record is None or record.status == "failed":
        return record is None or retry_failed
    return (traced and store.read_trace(cell) is None) or (keep_model and not store.has_model(cell))


def failed_record(cell: Cell, reason: str, environment: dict[str, str]) -> CellRecord:
    """Return the record of a cell whose training failed.

    Args:
        cell: The failed cell.
        reason: Why it failed, as shown to the user.
        environment: Library versions, commit and processor.
    """
    return CellRecord(
        hash=cell.hash,
        cell=cell,
        status="failed",
        reason=reason,
        environment=environment,
        finished=_now(),
    )


def train_cell(
    workspace: Workspace,
    cell: Cell,
    slices: tuple[Slice, ...],
    environment: dict[str, str],
    progress: ShareProgress,
    traced: bool,
    keep_model: bool,
) -> CellRecord:
    """Train and store one cell, or store why it failed, without a lock and whatever is stored.

    If torchrun started several processes, the first one calls this function and the others help. A
    cell that another process could not help with is not stored.

    Args:
        workspace: The workspace of the data set.
        cell: The cell to train.
        slices: Slices of the test period to measure.
        environment: Library versions, commit and processor, for the record.
        progress: Receives the completed share of the work, in [0, 1].
        traced: Record how the cell learns.
        keep_model: Store the weights.

    Raises:
        StoreError: The result cannot be written; nothing is stored.
        LostProcessError: Another process ended; nothing is stored.
    """
    from ctrbench.distributed import LostProcessError, Processes

    store, processes = Store(workspace), Processes().count
    meter = EnergyMeter()

    def metered(share: float) -> None:
        meter.update()
        progress(share)

    try:
        with _one_thread():
            found = _train(workspace, cell, slices, metered, traced)
        joules = meter.joules()
        energy = {} if joules is None or processes > 1 else {ENERGY: joules}  # of this process only
        code = code_hash(load_mode(cell.mode, cell.mode_settings))
        made_with = environment | {MODE_CODE: code}
        if load_loops() is None:
            made_with[LOOPS] = "plain"
        if processes > 1:
            made_with[PROCESSES] = str(processes)
        facts = found.record.facts | energy
        record = found.record.model_copy(update={"environment": made_with, "facts": facts})
        if keep_model:
            store.write_model(cell, found.state)
        return store.write(record, found.predictions, found.first_row, found.influence)
    except (StoreError, LostProcessError):
        raise
    except CtrBenchError as error:
        record = failed_record(cell, str(error), environment)
    except MemoryError:
        record = failed_record(cell, "out of memory; lower batch_size or --jobs", environment)
    except Exception as error:  # our bug: store its traceback; the other cells continue
        place = traceback.format_exc(limit=-3)
        record = failed_record(cell, f"{type(error).__name__}: {error}\n{place}", environment)
    return store.update(record)


def _train(
    workspace: Workspace,
    cell: Cell,
    slices: tuple[Slice, ...],
    progress: ShareProgress,
    traced: bool,
) -> _Trained:
    watch = _Stopwatch()
    warm = None
    if TrainingSettings.model_validate(cell.training).warm_start:
        with watch("prepare"):
            warm = warm_state(workspace, cell)
    learned = _learn(workspace, cell, warm, watch, progress, traced)
    parts, recorder, predictions = learned.parts, learned.recorder, learned.predictions
    model, slots, training = parts.model, parts.slots, parts.training
    if recorder is not None:
        with watch("trace"):
            found = trace(workspace, cell, parts, recorder, predictions["test"])
            Store(workspace).write_trace(cell, found)
    with watch("measure"):
        metrics = {
            period: evaluate_period(
                slots.impressions, period, p_click, scratch=scratch_of(workspace)
            )
            for period, p_click in predictions.items()
        }
        by_slice = slice_metrics(workspace, slots, predictions["test"], slices)
        influence = user_influences(workspace, slots, predictions["test"], slices)
    with watch("probe"):
        probed = probe_predictions(workspace, cell, slots, predictions["test"], slices)
        of_model = probe_model(workspace, cell, parts, slices)
        influence |= probed.influence | of_model.influence
    record = CellRecord(
        hash=cell.hash,
        cell=cell,
        settings={
            "mode": parts.mode.model_dump(mode="json"),
            "model": parts.settings.model_dump(mode="json"),
            "training": _as_trained(training, model),
        },
        status="done",
        metrics=metrics,
        slices=by_slice,
        probes=probed.metrics | of_model.metrics,
        facts=parts.prepared.facts
        | parts.mode.report(model.image_layers)
        | _coverage(workspace, cell, slots),
        curve=learned.curve,
        seconds=watch.seconds,
        peak_memory_bytes=_peak_memory_bytes(),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        finished=_now(),
    )
    first_row = {period: slots.impressions.rows(period).start for period in predictions}
    return _Trained(record, predictions, first_row, influence, parts)


def _learn(
    workspace: Workspace,
    cell: Cell,
    warm: dict[str, Any] | None = None,
    watch: _Stopwatch | None = None,
    progress: ShareProgress = lambda share: None,
    traced: bool = False,
) -> _Learned:
    """Train the model of a cell and predict; all processes do this together.

    Args:
        workspace: The workspace of the data set.
        cell: The cell to train.
        warm: The state of the baseline to start from, in the first process.
        watch: Receives the seconds of each stage.
        progress: Receives the completed share of the work.
        traced: Whether to record how the cell learns.
    """
    from ctrbench.distributed import Processes
    from ctrbench.training import fit, optimizers, predict

    across, watch = Processes(), watch or _Stopwatch()
    with helped(_learn, cell), _one_thread():
        with watch("prepare"):
            parts = across.together(lambda: build(workspace, cell))
            model, packer, training = parts.model, parts.packer, parts.training
            chosen = optimizers(model, training)
            state = across.from_first(warm)
            if state is not None:
                resume(model, chosen, state)
        with watch("train"), scoped_torch_seed(cell.seed, "training"):  # modes may draw from torch
            recorder = Recorder(parts) if traced else None
            curve = fit(
                model,
                packer,
                training,
                cell.seed,
                lambda share: progress(0.8 * share),
                chosen,
                observer=recorder,
            )
        with watch("predict"):
            predictions = {
                period: predict(
                    model,
                    packer,
                    period,
                    lambda share: progress(0.8 + 0.2 * share),
                    across,
                    scratch_of(workspace),
                )
                for period in MEASURED_PERIODS
            }
    return _Learned(parts, curve, recorder, predictions)


def _require_same(
    store: Store, stored: CellRecord, again: _Trained, environment: dict[str, str]
) -> None:
    """Check that a stored cell that was trained again has the same predictions.

    Raises:
        StoreError: Predictions differ; without stored predictions, metrics.
    """
    cell, differing = stored.cell, 0.0
    for period, p_click in again.predictions.items():
        before = store.predictions(cell, period, len(p_click))
        if before is not None:
            differing = max(differing, float(np.abs(before - p_click).max(initial=0)))
        elif again.record.metrics[period] != stored.metrics[period]:
            differing = max(differing, 1e-9)
    if not differing:
        return
    from ctrbench.distributed import Processes

    then, now = {PROCESSES: "1"} | stored.environment, {PROCESSES: str(Processes().count)}
    changed = [
        f"{name} {then.get(name, 'unknown')} then, {value} now"
        for name, value in (environment | now).items()
        if then.get(name) != value
    ]
    raise StoreError(
        f"cell {cell.hash} ({cell.label}) was trained again for its weights, and predicts "
        f"differently (by at most {differing:.2g}), so these are not the weights of the stored "
        f"result. Different: {'; '.join(changed) or 'nothing that the record names'}. Train it "
        f"where the result was made, or delete {store.path(cell)} and run its benchmark file with "
        "--keep-models."
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit every library to one thread, as the protocol of a cell requires."""
    import faiss  # noqa: F401  # imported first, so that the limit applies to it as well
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def _coverage(workspace: Workspace, cell: Cell, slots: HistorySlots) -> dict[str, float]:
    """Return the shares of items, test impressions and their history slots that have a vector.

    For a mode that reads several vector fields, an item counts if it has a vector in each of them.
    """
    if cell.version is None:
        return {}
    tables = read_tables(workspace, cell, load_mode(cell.mode, cell.mode_settings))
    has_vector = np.logical_and.reduce([table.has_vector for table in tables.values()])
    log = slots.impressions
    targets = count_targets(log, log.rows("test"))
    in_slots = slots.item_counts("test") - targets
    return {
        "coverage_items": float(has_vector[1:].mean()),
        "coverage_targets": float(targets[has_vector].sum() / max(targets.sum(), 1)),
        "coverage_slots": float(in_slots[has_vector].sum() / max(in_slots.sum(), 1)),
    }


def _as_trained(training: TrainingSettings, model: Backbone) -> dict[str, Any]:
    """Return the training settings; names lazy Adam if `table_optimizer: auto` selected it."""
    settings = training.model_dump(mode="json")
    if training.table_optimizer == "auto" and any(table.sparse for table in model.tables()):
        settings["table_optimizer"] = "lazy_adam"
    return settings


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # bytes on macOS, else kilobytes


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
