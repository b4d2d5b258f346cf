"""Estimate the memory of cells from settings and counts, and compare it with the machine's."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from ctrbench import embeddings, impressions
from ctrbench.batches.slots import COARSE
from ctrbench.errors import ConfigError, raise_all
from ctrbench.impressions.periods import CHUNK, chunks
from ctrbench.injection import load_mode
from ctrbench.models import load_backbone
from ctrbench.schema import Cell, DatasetManifest
from ctrbench.scratch import SMALL_BYTES
from ctrbench.settings import ModelSettings, TrainingSettings
from ctrbench.workspace import Workspace

LIBRARIES_BYTES = 500_000_000  # of a process without data
# Measured with tracemalloc for the influence values of the test period, the probes of a baseline,
# and the file of influence values. Larger arrays with one entry per impression are files.
EVALUATED_BYTES = 90  # per impression of the test period, of at most EVALUATED_ROWS
EVALUATED_ROWS = SMALL_BYTES // 8
EVALUATED_USER_BYTES = 190
EVALUATED_ITEM_BYTES = 160
EVALUATED_GROUP_BYTES = 110  # if evaluation groups are finer than users
PACKED_BYTES = 40  # per row of a chunk while the statistics of the users are fitted
COARSE_BYTES = 8 / COARSE  # see `HistorySlots`
COVERED_BYTES = 4  # per click of a log without given histories, see `HistorySlots.item_counts`
USER_BYTES = 100  # counts of `count_users` and their copies
NUMBER_BYTES = 4  # float32
ADAM = 4  # numbers per trained parameter: the parameter, its gradient, two moments
LAZY = {
    "auto": 3,
    "lazy_adam": 3,
    "rowwise_adagrad": 1,
}  # for sparse gradients
Lengths = Callable[[str, int], tuple[float, int]]  # see `read_lengths`
Groups = Callable[[str], int]  # see `read_groups`
LIMITS = tuple(  # container limits of cgroup v2 and v1; "max" means no limit
    Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory/memory.limit_in_bytes")
)


@dataclass(frozen=True)
class CellMemory:
    """The expected peak of a cell's anonymous memory, in bytes.

    Preparing, training and measuring follow one another and use the same memory again. Memory maps
    are not included, because the system can drop their pages.
    """

    log: float  # counts of users, and starts of histories
    preparing: float  # the vectors that a mode reads, or a chunk of the log
    tables: float  # parameters with gradients and optimiser states
    batch: float  # activations of a training step
    measuring: float  # metrics and influence values of the test period
    libraries: float = LIBRARIES_BYTES

    @property
    def total(self) -> int:
        """The peak."""
        trained = self.tables + max(self.batch, self.measuring)
        return round(self.libraries + self.log + max(self.preparing, trained))

    def together(self, processes: int) -> int:
        """Return the peak in bytes of several processes of one machine that train one cell.

        Each holds the whole model and a part of the batch; only the first one measures.

        Args:
            processes: Their number, at least 1.
        """
        first = replace(self, batch=self.batch / processes)
        return first.total + (processes - 1) * replace(first, measuring=0).total

    @property
    def parts(self) -> dict[str, float]:
        """The parts by the names that users see."""
        return {
            "libraries": self.libraries,
            "log": self.log,
            "preparing": self.preparing,
            "tables and optimiser states": self.tables,
            "a batch with its histories": self.batch,
            "measuring the test period": self.measuring,
        }

    @property
    def largest(self) -> str:
        """The name of the largest part."""
        return max(self.parts, key=lambda name: self.parts[name])

    def fitting_batch(self, batch_size: int, limit: int) -> int:
        """Return the largest power of two as batch size whose steps fit; 0 if none does.

        Args:
            batch_size: The batch size of this estimate.
            limit: The memory that a cell may use, in bytes.
        """
        if self.batch <= 0 or replace(self, batch=0).total > limit:
            return 0
        fitting = (limit - self.libraries - self.log - self.tables) * batch_size / self.batch
        return 1 << int(math.log2(fitting)) if fitting >= 1 else 0


def require_memory(
    workspace: Workspace, cells: Iterable[Cell], limit: int | None = None, processes: int = 1
) -> None:
    """Raise an error if some cells require more memory than is available.

    Args:
        workspace: The workspace of the data set.
        cells: The cells to train.
        limit: The memory that a cell may use, in bytes. None: that of this machine.
        processes: Number of processes of this machine that train each cell together.

    Raises:
        ConfigError: Lists each kind of cell that is too large, with its memory, and what would fit.
    """
    available = machine_bytes() if limit is None else limit
    lengths, groups = (
        cache(partial(read_lengths, workspace)),
        cache(partial(read_groups, workspace)),
    )
    problems = []
    for kind, cell in _kinds(cells).items():
        needed = _memory(workspace, cell, lengths, groups)
        total = needed.together(processes)
        if total > available:
            batch_size = TrainingSettings.model_validate(cell.training).batch_size
            fits = needed.fitting_batch(batch_size, available) if processes == 1 else 0
            remedy = f"; batch_size: {fits} would fit" if fits else ""
            size = _gigabytes(total)
            problems.append(f"{kind[0]} / {kind[1]}: {size}, most for {needed.largest}{remedy}")
    remedy = "Reduce" if limit is None else "Raise --max-memory, or reduce"
    several = ""
    if processes > 1:
        several = f" in {processes} processes"
        remedy = "Start fewer processes on this machine, or reduce"
    heading = (
        f"these cells require more than the available {_gigabytes(available)} of memory{several}. "
        f"{remedy} the sizes in `model:`, history_length, the mode's settings or batch_size:"
    )
    raise_all(list(dict.fromkeys(problems)), ConfigError, heading)


def largest_memory(workspace: Workspace, cells: Iterable[Cell]) -> CellMemory:
    """Return the expected memory of the largest cell.

    Args:
        workspace: The workspace of the data set.
        cells: At least one cell.
    """
    lengths, groups = (
        cache(partial(read_lengths, workspace)),
        cache(partial(read_groups, workspace)),
    )
    found = (_memory(workspace, cell, lengths, groups) for cell in _kinds(cells).values())
    return max(found, key=lambda one: one.total)


def expected_memory(workspace: Workspace, cell: Cell) -> CellMemory:
    """Return the expected memory of a cell.

    The estimate excludes the parameters of the layers that read histories, because their size does
    not depend on the data. It includes what these layers hold of a batch. It excludes training on a
    device other than the CPU.

    Args:
        workspace: The workspace of the data set.
        cell: The cell to estimate.
    """
    return _memory(
        workspace, cell, partial(read_lengths, workspace), partial(read_groups, workspace)
    )


def read_lengths(workspace: Workspace, dataset: str, history_length: int) -> tuple[float, int]:
    """Return the mean and the largest number of history items of a training impression.

    Args:
        workspace: The workspace of the data set.
        dataset: The name of the data set.
        history_length: The largest number that the model reads.
    """
    log = impressions.open_impressions(workspace, dataset)
    rows = log.rows("train")
    total = longest = 0
    for part in chunks(rows, log):
        lengths = np.minimum(log.history_length[part], history_length)
        total += int(lengths.sum(dtype=np.int64))
        longest = max(longest, int(lengths.max()))
    return total / (rows.stop - rows.start), longest


def read_groups(workspace: Workspace, dataset: str) -> int:
    """Return at least the number of evaluation groups of the test period; 0 if they are the users.

    Args:
        workspace: The workspace of the data set.
        dataset: The name of the data set.
    """
    log = impressions.open_impressions(workspace, dataset)
    if log.group is None:
        return 0
    test = log.rows("test")
    ends = [(log.group[part].min(), log.group[part].max()) for part in chunks(test, log)]
    low, high = min(one for one, _ in ends), max(one for _, one in ends)
    return min(int(high) - int(low) + 1, test.stop - test.start)


def _memory(workspace: Workspace, cell: Cell, lengths: Lengths, groups: Groups) -> CellMemory:
    dataset = impressions.read_manifest(workspace, cell.dataset)
    mode = load_mode(cell.mode, cell.mode_settings)
    width, learned = 0, 0
    if cell.version is not None:
        manifest = embeddings.read_manifest(workspace, cell.dataset, cell.version)
        width = sum(manifest.of(field).width for field in mode.reads)
        for piece in mode.pieces.values():
            own = manifest.of(piece.field)
            counts = own.code_counts
            learned += piece.learned_on_codes(counts) if counts else piece.learned(own.width)
    sizes = {name: stop - start for name, (start, stop) in dataset.periods.items()}
    rows, derived = sum(sizes.values()), dataset.history != "given"
    clicks = dataset.counts["clicks"] if derived else 0
    chunk = PACKED_BYTES * min(sizes["train"], CHUNK) + COVERED_BYTES * clicks
    vectors = NUMBER_BYTES * (dataset.counts["items"] + 1) * width
    tables, batch = _training_bytes(dataset, cell, learned, lengths)
    return CellMemory(
        log=COARSE_BYTES * rows + USER_BYTES * dataset.counts["users"],
        preparing=max(vectors, chunk),
        tables=tables,
        batch=batch,
        measuring=EVALUATED_BYTES * min(sizes["test"], EVALUATED_ROWS)
        + EVALUATED_USER_BYTES * min(sizes["test"], dataset.counts["users"])
        + EVALUATED_ITEM_BYTES * min(sizes["test"], dataset.counts["items"])
        + EVALUATED_GROUP_BYTES * groups(dataset.name),
    )


def machine_bytes() -> int:
    """Return the memory in bytes of the machine, or of the container if that is smaller."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in LIMITS:
        try:
            found.append(int(file.read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return min(found)


def _training_bytes(
    dataset: DatasetManifest, cell: Cell, learned: int, lengths: Lengths
) -> tuple[int, int]:
    """Return the bytes of parameters with gradients and moments, and of a batch's activations.

    Args:
        dataset: Provides the numbers of items, users and field values.
        cell: Provides the settings.
        learned: The number of parameters that the mode learns.
        lengths: Returns the mean and the largest number of history items.
    """
    model = ModelSettings.model_validate(cell.model)
    training = TrainingSettings.model_validate(cell.training)
    if not training.device.startswith("cpu"):
        return 0, 0
    used = [
        field
        for field in dataset.fields
        if field.kind != "text" and (model.fields is None or field.name in model.fields)
    ]
    own = model.field_embedding_size
    tables = [(dataset.counts["items"] + 1, model.embedding_size)]
    tables += [(field.size + 1, own) for field in used if field.size]
    tables += [(dataset.counts["users"] + 1, own)] * model.user_id
    embedded = model.embedding_size + own * (
        len(used) + len(model.user_statistics) + model.user_id
    )  # inputs of the last MLP, without the history
    layers = sum(a * b for a, b in pairwise((embedded, *model.top)))
    numbers = ADAM * (layers + learned)
    for rows, columns in tables:
        sparse = rows > training.dense_rows
        numbers += rows * columns * (LAZY[training.table_optimizer] if sparse else ADAM)
    start, stop = dataset.periods["train"]
    batch = min(training.batch_size, stop - start)
    of_batch = batch * (embedded + sum(model.top))
    mean, longest = lengths(dataset.name, model.history_length)
    backbone = load_backbone(model.backbone)
    of_batch += backbone.read_numbers(model, batch, round(batch * mean), longest)
    return NUMBER_BYTES * numbers, NUMBER_BYTES * of_batch


def _kinds(cells: Iterable[Cell]) -> dict[tuple[str, ...], Cell]:
    """Return one cell per version, mode and settings: seeds do not differ in memory."""
    return {
        (
            cell.version or "Baseline",
            cell.mode,
            *map(str, (cell.mode_settings, cell.model, cell.training)),
        ): cell
        for cell in cells
    }


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
