"""Run one cell: prepare, fit, predict, measure, store."""

from __future__ import annotations

import resource
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import Timeout

from ctrbench import embeddings
from ctrbench.errors import CtrBenchError, StoreError
from ctrbench.impressions.slots import HistorySlots
from ctrbench.injection import code_hash, load_mode
from ctrbench.locks import lock
from ctrbench.models import load_loops
from ctrbench.runner.building import build
from ctrbench.runner.measure import evaluate_period, slice_metrics, user_influences
from ctrbench.runner.probes import probe_model, probe_predictions
from ctrbench.runner.tracing import Recorder, trace
from ctrbench.runner.warm_start import go_on, warm_state
from ctrbench.schema import LOOPS, MODE_CODE, Cell, CellRecord
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
            self.seconds[stage] = round(time.perf_counter() - start, 3)


def cell_lock(workspace: Workspace, cell: Cell, wait: bool = False) -> AbstractContextManager[None]:
    """Held by whoever trains the cell or changes its record.

    Raises:
        filelock.Timeout: somebody holds it and `wait` is False.
        StoreError: the workspace cannot be written.
    """
    return lock(workspace.cache / "locks" / f"cell-{cell.hash}.lock", wait)


def run_cell(
    workspace: Workspace,
    cell: Cell,
    slices: tuple[Slice, ...],
    environment: dict[str, str],
    progress: ShareProgress,
    retry_failed: bool = False,
    traced: bool = False,
) -> CellRecord | None:
    """Train and store one cell, or store why it failed; None if another process is at it.

    A record that is there already is returned as it is, unless it failed and is to be retried, or
    its trace is wanted and was not recorded: then it is trained once more, for the trace alone.

    Raises:
        StoreError: the result cannot be written; nothing is stored.
    """
    store = Store(workspace)
    try:
        with cell_lock(workspace, cell):
            stored = store.read(cell)
            if stored is not None and not is_missing(store, cell, retry_failed, traced):
                return stored
            if stored is not None and stored.status == "done":  # all but its trace is there
                with _one_thread():
                    _train(workspace, cell, (), progress, traced)
                return stored
            return _run(workspace, store, cell, slices, environment, progress, traced)
    except Timeout:
        return None


def is_missing(store: Store, cell: Cell, retry_failed: bool, traced: bool) -> bool:
    """Whether a cell is to be trained: no record, a failed one to be tried again, no trace."""
    record = store.read(cell)
    if record is None or record.status == "failed":
        return record is None or retry_failed
    return traced and store.read_trace(cell) is None


def failed_record(cell: Cell, reason: str, environment: dict[str, str]) -> CellRecord:
    """The record of a cell that did not come to an end."""
    return CellRecord(
        hash=cell.hash,
        cell=cell,
        status="failed",
        reason=reason,
        environment=environment,
        finished=_now(),
    )


def _run(
    workspace: Workspace,
    store: Store,
    cell: Cell,
    slices: tuple[Slice, ...],
    environment: dict[str, str],
    progress: ShareProgress,
    traced: bool,
) -> CellRecord:
    try:
        with _one_thread():
            record, predictions, first_row, influence = _train(
                workspace, cell, slices, progress, traced
            )
        code = code_hash(load_mode(cell.mode, cell.mode_settings))
        made_with = environment | {MODE_CODE: code}
        if load_loops() is None:
            made_with[LOOPS] = "plain"
        record = record.model_copy(update={"environment": made_with})
        store.write(record, predictions, first_row, influence)
        return record
    except StoreError:
        raise
    except CtrBenchError as error:
        record = failed_record(cell, str(error), environment)
    except MemoryError:
        record = failed_record(cell, "out of memory; lower batch_size or --jobs", environment)
    except Exception as error:  # our bug: keep its place, let the siblings go on
        place = traceback.format_exc(limit=-3)
        record = failed_record(cell, f"{type(error).__name__}: {error}\n{place}", environment)
    store.update(record)
    return record


def _train(
    workspace: Workspace,
    cell: Cell,
    slices: tuple[Slice, ...],
    progress: ShareProgress,
    traced: bool,
) -> tuple[CellRecord, dict[str, np.ndarray], dict[str, int], dict[str, np.ndarray]]:
    from ctrbench.training import fit, optimizers, predict

    watch = _Stopwatch()
    with watch("prepare"):
        parts = build(workspace, cell)
        model, packer, slots, training = parts.model, parts.packer, parts.slots, parts.training
        chosen = optimizers(model, training)
        if training.warm_start:
            go_on(model, chosen, warm_state(workspace, cell))
    with watch("train"), scoped_torch_seed(cell.seed, "training"):  # for modes that draw there
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
            period: predict(model, packer, period, lambda share: progress(0.8 + 0.2 * share))
            for period in MEASURED_PERIODS
        }
    if recorder is not None:
        with watch("trace"):
            found = trace(workspace, cell, parts, recorder, predictions["test"])
            Store(workspace).write_trace(cell, found)
    with watch("measure"):
        metrics = {
            period: evaluate_period(slots.impressions, period, p_click)
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
        curve=curve,
        seconds=watch.seconds,
        peak_memory_bytes=_peak_memory_bytes(),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        finished=_now(),
    )
    first_row = {period: slots.impressions.rows(period).start for period in predictions}
    return record, predictions, first_row, influence


@contextmanager
def _one_thread() -> Iterator[None]:
    """A cell's protocol: every library computes on one thread, whatever the machine has."""
    import faiss  # noqa: F401  # loaded before the limit, so that it holds for it as well
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
    """Shares of items, of test impressions, and of their history slots that have a vector."""
    if cell.version is None:
        return {}
    has_vector = embeddings.open_version(workspace, cell.dataset, cell.version).has_vector
    log = slots.impressions
    targets = np.bincount(log.item_id[log.rows("test")], minlength=log.item_rows)
    in_slots = slots.item_counts("test") - targets
    return {
        "coverage_items": float(has_vector[1:].mean()),
        "coverage_targets": float(targets[has_vector].sum() / max(targets.sum(), 1)),
        "coverage_slots": float(in_slots[has_vector].sum() / max(in_slots.sum(), 1)),
    }


def _as_trained(training: TrainingSettings, model: Backbone) -> dict[str, Any]:
    """The settings, with what `table_optimizer: auto` came to where it is not the model's own."""
    told = training.model_dump(mode="json")
    if training.table_optimizer == "auto" and any(table.sparse for table in model.tables()):
        told["table_optimizer"] = "lazy_adam"
    return told


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # kilobytes but on macOS


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
