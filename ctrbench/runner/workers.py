"""Cells in the processes of an executor: the message that starts one, its work, its result.

A local process locks its cell and writes the result itself. A process on another machine returns
the files of the result; the process that started the run holds the lock and writes them.
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrbench.atomic import HeldError, atomic_file
from ctrbench.environment import environment
from ctrbench.errors import DamagedError, StoreError
from ctrbench.executors import Admission, Executor, Progress, Task
from ctrbench.runner.cell import failed_record, intact, is_missing, run_cell, train_cell
from ctrbench.runner.in_progress import cell_lock, published
from ctrbench.runner.memory import expected_memory
from ctrbench.schema import Cell, CellRecord
from ctrbench.settings import TrainingSettings
from ctrbench.slices import Slice
from ctrbench.store import MODEL, TRACE, Store
from ctrbench.workspace import Workspace

# Modules that every cell requires: processes are forked after their import; pyarrow imports pandas.
PRELOAD = ("ctrbench.runner.cell", "ctrbench.training", "faiss", "pyarrow.parquet", "pandas")
OF_OTHER_DEVICES = ("torch._dynamo",)  # the optimizers of torch import it at their first use

IMAGES = "images.parquet"  # pictures of a data set, which no cell reads


@dataclass(frozen=True)
class Message:
    """What a process must know of a cell; plain values only."""

    cell: str  # JSON
    slices: tuple[str, ...]  # JSON
    environment: tuple[tuple[str, str], ...]  # of the process that starts the run
    retry_failed: bool
    traced: bool
    keep_models: bool


def preload(cells: Iterable[Cell]) -> tuple[str, ...]:
    """Return the modules that the cells require."""
    devices = {TrainingSettings.model_validate(cell.training).device for cell in cells}
    return PRELOAD + (OF_OTHER_DEVICES if devices != {"cpu"} else ())


class Results(ABC):
    """Admits the cells of a run, and stores what becomes of them.

    Args:
        workspace: The workspace that receives the results.
        retry_failed: Train failed cells again.
        traced: Train cells without a trace again.
        keep_models: Train cells without weights again.
    """

    work: Any  # of `executors.Program`

    def __init__(
        self, workspace: Workspace, retry_failed: bool, traced: bool, keep_models: bool
    ) -> None:
        self.workspace, self.store = workspace, Store(workspace)
        self._how = retry_failed, traced, keep_models

    def close(self) -> None:
        """End the run; locks that are still held are released."""
        return

    def is_missing(self, cell: Cell) -> bool:
        """Return whether the cell must still be trained."""
        return is_missing(self.store, cell, *self._how)

    def stored(self, cell: Cell) -> CellRecord:
        """Return the record of a cell that another run has stored meanwhile."""
        record = self.store.read(cell)
        assert record is not None
        return record

    def failure(self, cell: Cell, reason: str) -> CellRecord:
        """Return the record of a cell whose process ended, and store it as failed.

        Args:
            cell: The cell.
            reason: Why its process ended.
        """
        with suppress(DamagedError):
            stored = self.store.read(cell)
            if stored is not None and stored.status == "done":  # stored before the process ended
                return stored
        return self.store.update(failed_record(cell, reason, environment()))

    @abstractmethod
    def admit(self, cell: Cell) -> Admission:
        """Return whether the cell may start: no other run trains it, and it is not stored."""

    @abstractmethod
    def progress(self, cell: Cell, share: float) -> None:
        """Publish the completed share of a cell.

        Args:
            cell: The cell.
            share: The share, in [0, 1].
        """

    @abstractmethod
    def done(self, cell: Cell, value: Any) -> CellRecord:
        """Return the stored record of a finished cell.

        Args:
            cell: The cell.
            value: The result of `work`.
        """

    @abstractmethod
    def failed(self, cell: Cell, reason: str) -> CellRecord:
        """Store and return the failure of a cell; see `failure`.

        Args:
            cell: The cell.
            reason: Why its process ended.
        """


class Local(Results):
    """Local processes lock their cells and write the results themselves."""

    @staticmethod
    def work(message: Message, home: Path, progress: Progress) -> str:
        """Run one cell within a process. If another run holds the cell, wait for its record.

        Args:
            message: The cell.
            home: The workspace.
            progress: Receives the completed share.

        Returns:
            The record as JSON.
        """
        workspace = Workspace(home)
        cell, slices = _parsed(message)
        while True:
            record = run_cell(
                workspace,
                cell,
                slices,
                dict(message.environment),
                progress,
                message.retry_failed,
                message.traced,
                message.keep_models,
            )
            if record is not None:
                return record.model_dump_json()
            with cell_lock(workspace, cell, wait=True):
                pass  # another run took the cell after `admit`: wait for its record

    def admit(self, cell: Cell) -> Admission:
        """Return whether the cell may start."""
        try:
            with cell_lock(self.workspace, cell):
                return "start" if self.is_missing(cell) else "drop"
        except HeldError:
            return "wait"

    def progress(self, cell: Cell, share: float) -> None:
        """Do nothing: the process publishes its progress."""

    def done(self, cell: Cell, value: Any) -> CellRecord:
        """Return the record that the process has stored."""
        return CellRecord.model_validate_json(value)

    def failed(self, cell: Cell, reason: str) -> CellRecord:
        """Store and return the failure of a cell."""
        with cell_lock(self.workspace, cell, wait=True):
            return self.failure(cell, reason)


@dataclass(frozen=True)
class _Elsewhere(Workspace):
    """A workspace whose results are written into another folder."""

    scratch: Path

    @property
    def results(self) -> Path:
        """The folder of the results."""
        return self.scratch


class Remote(Results):
    """Processes on other machines return the files of their results, which this one stores.

    This process holds the lock of every cell that runs, so that runs on other machines, whose locks
    may not be visible here, share the work.
    """

    def __init__(
        self, workspace: Workspace, retry_failed: bool, traced: bool, keep_models: bool
    ) -> None:
        super().__init__(workspace, retry_failed, traced, keep_models)
        self._held: dict[str, ExitStack] = {}  # by cell hash
        self._publish: dict[str, Progress] = {}  # of the cells that have started

    @staticmethod
    def work(message: Message, home: Path, progress: Progress) -> tuple[str, dict[str, bytes]]:
        """Train one cell without locking or writing anything in the results of the workspace.

        Args:
            message: The cell.
            home: The workspace, or a copy of its data and embeddings.
            progress: Receives the completed share.

        Returns:
            The record as JSON, and the content of every file below results/ by relative path.
        """
        progress(0.0)
        cell, slices = _parsed(message)
        with tempfile.TemporaryDirectory(prefix="ctrbench-") as folder:
            workspace = _Elsewhere(home, Path(folder))
            how = message.traced, message.keep_models
            record = train_cell(workspace, cell, slices, environment(), progress, *how)
            files = {
                path.relative_to(folder).as_posix(): path.read_bytes()
                for path in Path(folder).rglob("*")
                if path.is_file()
            }
        return record.model_dump_json(), files

    def admit(self, cell: Cell) -> Admission:
        """Return whether the cell may start, and hold its lock if so."""
        if cell.hash in self._held:  # it starts again
            return "start"
        with ExitStack() as stack:
            try:
                stack.enter_context(cell_lock(self.workspace, cell))
            except HeldError:
                return "wait"
            if not self.is_missing(cell):
                return "drop"
            self._held[cell.hash] = stack.pop_all()
        return "start"

    def progress(self, cell: Cell, share: float) -> None:
        """Publish the completed share of a cell for `ctrbench status`."""
        if cell.hash not in self._publish:
            block = published(self.workspace, cell, lambda share: None)
            self._publish[cell.hash] = self._held[cell.hash].enter_context(block)
        self._publish[cell.hash](share)

    def done(self, cell: Cell, value: Any) -> CellRecord:
        """Write the files of a finished cell, the record last, and return the record."""
        text, files = value
        record, own = CellRecord.model_validate_json(text), self.store.path(cell)
        with self._released(cell):
            stored = intact(self.store, cell)
            if stored is not None and stored.status == "done":  # trace or weights were missing
                if record.metrics != stored.metrics:
                    raise StoreError(
                        f"{own} was trained again for its weights and has other metrics. Delete "
                        "the record to store the new result."
                    )
                endings = (TRACE, MODEL)
                record, files = stored, {k: v for k, v in files.items() if k.endswith(endings)}
            record_last = sorted(files, key=lambda name: self.store.root / name == own)
            for name in record_last:
                with atomic_file(self.store.root / name) as temporary:
                    temporary.write_bytes(files[name])
        return record

    def failed(self, cell: Cell, reason: str) -> CellRecord:
        """Store and return the failure of a cell."""
        with self._released(cell):
            return self.failure(cell, reason)

    def close(self) -> None:
        """Release the locks of all cells."""
        for stack in self._held.values():
            stack.close()

    @contextmanager
    def _released(self, cell: Cell) -> Iterator[None]:
        """Release the lock of a cell after the block."""
        self._publish.pop(cell.hash, None)
        with self._held.pop(cell.hash):
            yield


def results_of(
    executor: Executor,
    workspace: Workspace,
    retry_failed: bool,
    traced: bool,
    keep_models: bool,
) -> Local | Remote:
    """Return where results of an executor's processes are stored, and by whom.

    Args:
        executor: Where the cells run.
        workspace: The workspace that receives the results.
        retry_failed: Train failed cells again.
        traced: Train cells without a trace again.
        keep_models: Train cells without weights again.
    """
    return (Remote if executor.apart else Local)(workspace, retry_failed, traced, keep_models)


def task_of(workspace: Workspace, cell: Cell, message: Message | None) -> Task:
    """Return the task of a cell with what it requires of a machine.

    Args:
        workspace: The workspace of the data set.
        cell: The cell.
        message: The message that starts it, if any.
    """
    device = TrainingSettings.model_validate(cell.training).device
    gpus = 0 if device.startswith("cpu") else 1
    return Task(message, gpus, expected_memory(workspace, cell).total)


def input_files(workspace: Workspace, cells: list[Cell]) -> tuple[str, ...]:
    """Return the files that suffice to train cells, relative to the workspace.

    Args:
        workspace: The workspace of the data sets.
        cells: The cells to train.
    """
    datasets = {workspace.data / cell.dataset for cell in cells}
    versions = {
        workspace.embeddings / cell.dataset / cell.version for cell in cells if cell.version
    }
    found = [path for folder in datasets for path in folder.iterdir() if path.name != IMAGES]
    found += [path for folder in versions for path in folder.rglob("*")]
    return tuple(sorted(str(path.relative_to(workspace.home)) for path in found if path.is_file()))


def _parsed(message: Message) -> tuple[Cell, tuple[Slice, ...]]:
    slices = tuple(Slice.model_validate_json(part) for part in message.slices)
    return Cell.model_validate_json(message.cell), slices
