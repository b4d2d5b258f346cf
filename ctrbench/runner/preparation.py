"""Cache what a mode computes once per data set, version and settings, as memory maps."""

from __future__ import annotations

import json
from dataclasses import replace
from mmap import mmap
from pathlib import Path

import numpy as np

from ctrbench import controls, embeddings, impressions
from ctrbench.arrays import save_array
from ctrbench.batches.slots import HistorySlots
from ctrbench.caches import kept
from ctrbench.identity import hash_json
from ctrbench.injection import Images, Injection, Prepared, code_hash
from ctrbench.schema import Cell, ColumnValues, EmbeddingTable, Ragged
from ctrbench.workspace import Workspace

FACTS = "facts.json"
KINDS = ("item", "slot", "whole")  # kinds of arrays, see `Prepared`


def prepare(workspace: Workspace, cell: Cell, mode: Injection, slots: HistorySlots) -> Prepared:
    """Return the mode's arrays for a cell, from the cache if they are there.

    Args:
        workspace: The workspace whose cache holds the arrays.
        cell: The cell to prepare.
        mode: The cell's mode with its settings.
        slots: The opened data set with its history slots.

    Raises:
        DataError: The mode cannot be prepared on these vectors.
        StoreError: The cache cannot be written.
    """
    if cell.version is None:
        return mode.prepare(_no_images(slots.impressions.item_rows), slots, cell.seed)
    folder = (
        workspace.cache
        / "prepared"
        / cell.dataset
        / cell.version_label
        / cell.mode
        / _key(cell, mode, slots)
    )

    def make(empty: Path) -> None:
        images = images_of(workspace, cell, mode, slots)
        mapped = replace(slots, scratch=empty)
        _write(empty, mode.prepare_fields(images, mapped, cell.seed))

    return _read(kept(workspace, folder, make))


def prepare_slots(
    workspace: Workspace, cell: Cell, mode: Injection, slots: HistorySlots
) -> dict[str, np.ndarray]:
    """Return the mode's slot arrays for histories other than the data set's, without caching.

    Args:
        workspace: The workspace of the data set.
        cell: The cell to prepare.
        mode: The cell's mode with its settings.
        slots: The other histories.
    """
    images = images_of(workspace, cell, mode, slots)
    return mode.prepare_fields(images, slots, cell.seed).slot


def read_tables(workspace: Workspace, cell: Cell, mode: Injection) -> dict[str, EmbeddingTable]:
    """Return the tables of the vector fields that a mode reads, by field, without the control.

    Args:
        workspace: The workspace of the version.
        cell: A cell with a version.
        mode: The cell's mode with its settings.

    Raises:
        StoreError: A file of the version is damaged.
        UnknownNameError: The version or a field does not exist.
    """
    assert cell.version is not None
    manifest = embeddings.read_manifest(workspace, cell.dataset, cell.version)
    fields = dict.fromkeys(manifest.of(field).field for field in mode.reads)
    return {
        field: embeddings.open_version(
            workspace, cell.dataset, manifest.reference(field), codes=True
        )
        for field in fields
    }


def _key(cell: Cell, mode: Injection, slots: HistorySlots) -> str:
    """Return a hash of everything that the preparation depends on, and of nothing else."""
    settings = {
        key: value for key, value in cell.mode_settings.items() if key != "learning_rate_factor"
    }
    drawn = mode.seeded or cell.control is not None
    return hash_json(
        {
            "protocol": cell.protocol,
            "data": cell.data_hash,
            "vectors": cell.vectors_hash,
            "control": cell.control.model_dump() if cell.control else None,
            "mode": cell.mode,
            "revision": cell.mode_revision,
            "code": code_hash(mode),
            "settings": settings,
            "history_length": slots.history_length,
            "seed": cell.seed if drawn else None,
        }
    )


def images_of(
    workspace: Workspace, cell: Cell, mode: Injection, slots: HistorySlots
) -> dict[str | None, Images]:
    """Return the vectors of each field that the mode reads; those of the control if it has one.

    Args:
        workspace: The workspace of the version.
        cell: A cell with a version.
        mode: The cell's mode with its settings.
        slots: The opened data set with its history slots.

    Returns:
        The vectors by field; None is the first field, if the mode names none.

    Raises:
        StoreError: A file of the version is damaged.
        UnknownNameError: The version or a field does not exist.
    """
    log = slots.impressions
    assert cell.version is not None
    manifest = embeddings.read_manifest(workspace, cell.dataset, cell.version)
    counts = {field: manifest.of(field).code_counts for field in manifest.field_names}
    tables = {
        field: embeddings.numbered_codes(table) if counts[field] else table
        for field, table in read_tables(workspace, cell, mode).items()
    }
    if cell.control is not None:
        groups = _groups(log.item_fields[cell.control.within]) if cell.control.within else None
        tables = controls.apply_to_fields(cell.control, tables, cell.seed, groups)
    shown = impressions.items_in_period(log, log.fitting_period)
    images: dict[str | None, Images] = {
        field: Images(
            table.vectors, np.asarray(table.has_vector), shown & table.has_vector, counts[field]
        )
        for field, table in tables.items()
    }
    if None in mode.reads:
        images[None] = images[manifest.field]
    return images


def _groups(column: ColumnValues) -> np.ndarray:
    assert not isinstance(column, Ragged)  # `read_matrix` admits categorical fields only
    return np.asarray(column)


def _no_images(item_rows: int) -> Images:
    nowhere = np.zeros(item_rows, bool)
    return Images(np.zeros((item_rows, 1), np.float32), nowhere, nowhere)


def _write(folder: Path, prepared: Prepared) -> None:
    for kind in KINDS:
        for name, values in getattr(prepared, kind).items():
            _save(folder / f"{kind}.{name}.npy", values)
    (folder / FACTS).write_text(json.dumps(prepared.facts), encoding="utf-8")


def _save(path: Path, values: np.ndarray) -> None:
    """Write an array, or rename its file if `HistorySlots.stored` created it in this folder."""
    if isinstance(values, np.memmap) and isinstance(values.base, mmap):  # a whole file, not a view
        file = Path(str(values.filename))
        if file.parent == path.parent and file.exists():
            file.rename(path)
            path.chmod(0o644)
            return
    save_array(path, values)


def _read(folder: Path) -> Prepared:
    def arrays(kind: str) -> dict[str, np.ndarray]:
        return {
            path.name.removeprefix(f"{kind}.").removesuffix(".npy"): np.load(path, mmap_mode="r")
            for path in sorted(folder.glob(f"{kind}.*.npy"))
        }

    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return Prepared(**{kind: arrays(kind) for kind in KINDS}, facts=facts)
