"""The memory that cells take, from settings and counts alone, beside what the machine has."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from ctrbench import embeddings, impressions
from ctrbench.errors import ConfigError, raise_all
from ctrbench.injection import load_mode
from ctrbench.schema import Cell, DatasetManifest
from ctrbench.settings import ModelSettings, TrainingSettings
from ctrbench.workspace import Workspace

LIBRARIES_BYTES = 450_000_000  # of a process before it holds any data
NUMBER_BYTES = 4  # float32
ADAM = 4  # numbers held for each that is trained: itself, its gradient, two moments
LAZY = {"auto": 3, "lazy_adam": 3, "rowwise_adagrad": 1}  # of tables whose gradients are sparse
LIMITS = tuple(  # of a container, cgroup v2 and v1; "max", or more than the machine has: none
    Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory/memory.limit_in_bytes")
)


def require_memory(workspace: Workspace, cells: Iterable[Cell]) -> None:
    """Refuse cells that a machine of this size cannot train.

    Raises:
        ConfigError: naming each kind of cell and its memory.
    """
    available = machine_bytes()
    needed = {kind: expected_bytes(workspace, cell) for kind, cell in _kinds(cells).items()}
    problems = [
        f"{kind[0]} / {kind[1]}: {_gigabytes(memory)}"
        for kind, memory in needed.items()
        if memory > available
    ]
    heading = (
        f"these cells need more than the {_gigabytes(available)} of memory that there are, for "
        "tables, their optimiser, and vectors or a batch; lower the sizes in `model:` and in the "
        "mode's settings, or batch_size:"
    )
    raise_all(list(dict.fromkeys(problems)), ConfigError, heading)


def largest_bytes(workspace: Workspace, cells: Iterable[Cell]) -> int:
    """Memory of the cell that takes most."""
    return max(expected_bytes(workspace, cell) for cell in _kinds(cells).values())


def expected_bytes(workspace: Workspace, cell: Cell) -> int:
    """What a cell's process holds at least: libraries, and its vectors or its training.

    The layers that read histories are left out, since each backbone has its own: their size does
    not grow with the data. What is trained on another device than the CPU does not count.
    """
    dataset = impressions.read_manifest(workspace, cell.dataset)
    width = 0
    if cell.version is not None:
        width = embeddings.read_manifest(workspace, cell.dataset, cell.version).width
    vectors = NUMBER_BYTES * (dataset.counts["items"] + 1) * width
    return LIBRARIES_BYTES + max(vectors, _training_bytes(dataset, cell, width))


def machine_bytes() -> int:
    """The memory of the machine, or of the container if that has less."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in LIMITS:
        try:
            found.append(int(file.read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return min(found)


def _training_bytes(dataset: DatasetManifest, cell: Cell, width: int) -> int:
    """Parameters, gradients and moments, and a batch's way through the last MLP.

    Args:
        dataset: with the numbers of items, users and values.
        cell: with its settings.
        width: of its vectors, 0 for a baseline.
    """
    model = ModelSettings.model_validate(cell.model)
    training = TrainingSettings.model_validate(cell.training)
    if not training.device.startswith("cpu"):
        return 0
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
    )  # what enters the last MLP beside the history
    layers = sum(a * b for a, b in pairwise((embedded, *model.top)))
    learned = load_mode(cell.mode, cell.mode_settings).learned(width)
    numbers = ADAM * (layers + learned)
    for rows, columns in tables:
        sparse = rows > training.dense_rows
        numbers += rows * columns * (LAZY[training.table_optimizer] if sparse else ADAM)
    start, stop = dataset.periods["train"]
    batch = min(training.batch_size, stop - start)
    return NUMBER_BYTES * (numbers + batch * (embedded + sum(model.top)))


def _kinds(cells: Iterable[Cell]) -> dict[tuple[str, ...], Cell]:
    """One cell of each kind that may differ in memory, by version, mode and settings."""
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
