"""The folder of an embedding version: where it stands, how it is opened, published and removed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from ctrbench import __version__
from ctrbench.arrays import table_blocks, write_npy
from ctrbench.atomic import PARTIAL, atomic_folder, disk_errors, write_json
from ctrbench.embeddings.directions import has_direction
from ctrbench.errors import ConfigError, DataError, StoreError, UnknownNameError
from ctrbench.identity import ContentHash
from ctrbench.schema import DatasetManifest, EmbeddingTable, VersionManifest
from ctrbench.workspace import Workspace, check_name

VECTORS, MASK, MANIFEST = "vectors.npy", "has_vector.npy", "manifest.json"


def folder(workspace: Workspace, dataset: str, version: str) -> Path:
    """Where a version stands."""
    return workspace.embeddings / dataset / version


def datasets(workspace: Workspace) -> list[str]:
    """Data sets that have at least one version."""
    found = workspace.embeddings.iterdir() if workspace.embeddings.is_dir() else ()
    return sorted(path.name for path in found if names(workspace, path.name))


def names(workspace: Workspace, dataset: str) -> list[str]:
    """Versions of a data set, sorted; those still being written are left out."""
    found = (workspace.embeddings / dataset).glob(f"*/{MANIFEST}")
    return sorted(path.parent.name for path in found if not path.parent.name.startswith(PARTIAL))


def read_manifest(workspace: Workspace, dataset: str, version: str) -> VersionManifest:
    """What a version is.

    Raises:
        UnknownNameError: the data set has no such version.
        StoreError: the manifest is damaged.
    """
    return _manifest(_existing(workspace, dataset, version))


def open_version(
    workspace: Workspace, dataset: str, version: str, items_hash: str | None = None
) -> EmbeddingTable:
    """The version's table, memory-mapped and read-only.

    Args:
        workspace: where the version stands.
        dataset: the data set's name.
        version: the version's name.
        items_hash: the data set's, where known: rows follow its item ids.

    Raises:
        UnknownNameError: the data set has no such version.
        DataError: the version was joined to other items than the data set has now.
        StoreError: the version's files are damaged.
    """
    manifest = read_manifest(workspace, dataset, version)
    if items_hash not in (None, manifest.items_hash):
        raise DataError(
            f"embedding version {version!r} was joined to other items than data set {dataset!r} "
            f"has now; remove the version and add it again."
        )
    table = open_table(_existing(workspace, dataset, version))
    shape = (len(table.has_vector), manifest.width)
    if table.vectors.shape != shape or table.vectors.dtype != manifest.dtype:
        raise StoreError(
            f"embedding version {version!r} of {dataset!r} is damaged: {VECTORS} holds "
            f"{table.vectors.dtype} {table.vectors.shape}, its manifest says {manifest.dtype} "
            f"{shape}; remove the version and add it again."
        )
    return table


def open_table(path: Path) -> EmbeddingTable:
    """The table in a version's folder, memory-mapped and read-only.

    Raises:
        StoreError: a file is missing or damaged.
    """
    try:
        return EmbeddingTable(
            vectors=np.load(path / VECTORS, mmap_mode="r", allow_pickle=False),
            has_vector=np.load(path / MASK, mmap_mode="r", allow_pickle=False),
        )
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(
            f"embedding version in {path} is damaged: {error}; remove it and add it again."
        ) from error


def new_table(path: Path, shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """Create the version's vectors, all zero, and map them for writing.

    The zeros are written out, so that a full disk is an error here, not a crash in the map later.
    """
    with (path / VECTORS).open("wb") as file:
        zeros = (
            np.zeros((rows.stop - rows.start, shape[1]), dtype) for rows in table_blocks(shape)
        )
        write_npy(file, dtype, shape, zeros)
    return np.lib.format.open_memmap(path / VECTORS, mode="r+")


def seal(
    path: Path,
    version: str,
    dataset: DatasetManifest,
    has_vector: np.ndarray,
    provenance: dict[str, Any],
    unmatched: tuple[int, tuple[str, ...]] = (0, ()),
) -> VersionManifest:
    """Write mask and manifest beside finished vectors; a zero vector is none, and is counted.

    Args:
        path: the folder that holds the vectors.
        version: its name.
        dataset: the data set whose items the rows follow.
        has_vector: (V,) bool.
        provenance: how the vectors were made.
        unmatched: how many ids the data set does not know, and examples of them.

    Raises:
        DataError: all vectors are zero.
    """
    has_vector = np.array(has_vector)
    zero = _leave_out_zeros(np.load(path / VECTORS, mmap_mode="r+"), has_vector)
    if zero and not has_vector.any():
        raise DataError(f"all {zero:,} vectors of {version!r} are zero: nothing was stored.")
    np.save(path / MASK, has_vector)
    table = open_table(path)
    manifest = VersionManifest(
        name=version,
        dataset=dataset.name,
        items_hash=dataset.items_hash,
        width=table.vectors.shape[1],
        dtype=str(table.vectors.dtype),
        items_with_vector=int(has_vector.sum()),
        zero_vectors=zero,
        unmatched_ids=unmatched[0],
        unmatched_examples=unmatched[1],
        provenance=provenance,
        content_hash=table_hash(table),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        ctrbench_version=__version__,
    )
    write_json(path / MANIFEST, manifest.model_dump(mode="json"))
    return manifest


def _leave_out_zeros(vectors: np.ndarray, has_vector: np.ndarray) -> int:
    """Clear vectors without a direction, and say how many there were."""
    zero = 0
    for rows in table_blocks(vectors.shape):
        lost = np.flatnonzero(has_vector[rows])
        lost = rows.start + lost[~has_direction(vectors[rows][lost])]
        vectors[lost], has_vector[lost] = 0, False
        zero += len(lost)
    return zero


def table_hash(table: EmbeddingTable) -> str:
    """Hash of a table and its mask."""
    content = ContentHash()
    content.array("vectors", table.vectors)
    content.array("has_vector", table.has_vector)
    return content.hexdigest()


def publish(target: Path, build: Callable[[Path], VersionManifest]) -> tuple[VersionManifest, bool]:
    """Build a version aside and move it into place whole; a version is immutable under its name.

    Args:
        target: the version's folder.
        build: fills an empty folder and returns its manifest.

    Returns:
        The stored manifest, and whether it is new; False: the same content stood there already.

    Raises:
        ConfigError: the name stands for other content.
        StoreError: the workspace cannot be written.
    """
    if not target.exists():
        with atomic_folder(target) as path:
            return build(path), True
    with (
        disk_errors(target),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=PARTIAL) as aside,
    ):
        made = build(Path(aside))
    stored = _manifest(target)
    if (made.content_hash, made.items_hash) == (stored.content_hash, stored.items_hash):
        return stored, False
    raise taken(stored)


def taken(stored: VersionManifest) -> ConfigError:
    """What to say when a name stands for other content."""
    return ConfigError(
        f"embedding version {stored.name!r} of {stored.dataset!r} exists with other content, and a "
        f"version is immutable: choose a new name, or `ctrbench embeddings remove {stored.name} "
        f"--dataset {stored.dataset} --yes` first."
    )


def stored_records(workspace: Workspace, dataset: str, version: str) -> list[Path]:
    """Records of cells trained with the version or with a control made from it."""
    results = workspace.results / dataset
    found = [*results.glob(f"{version}/*/*.json"), *results.glob(f"{version}@*/*/*.json")]
    return sorted(path for path in found if not path.name.startswith(PARTIAL))


def remove(workspace: Workspace, dataset: str, version: str, force: bool = False) -> None:
    """Delete a version; of one that is a link to a folder elsewhere, the link alone.

    Raises:
        UnknownNameError: the data set has no such version.
        ConfigError: stored records were made with it, and `force` is not set.
    """
    target = _existing(workspace, dataset, version)
    dataset, version = target.parent.name, target.name
    records = stored_records(workspace, dataset, version)
    if records and not force:
        raise ConfigError(
            f"{len(records):,} stored records were made with embedding version {version!r} of "
            f"{dataset!r}, the first {records[0].relative_to(workspace.home)}; they stay "
            "readable, but no missing cell could be trained. --force removes the version anyway."
        )
    with disk_errors(target):
        doomed = Path(tempfile.mkdtemp(dir=target.parent, prefix=PARTIAL))
        target.rename(doomed / version)
        shutil.rmtree(doomed)


def _existing(workspace: Workspace, dataset: str, version: str) -> Path:
    """The folder of a version that is there."""
    dataset, version = check_name("data set", dataset), check_name("embedding version", version)
    known = names(workspace, dataset)
    if version not in known:
        hint = f"Looked in {workspace.embeddings / dataset}; `ctrbench embeddings add` makes one."
        raise UnknownNameError("embedding version", version, known, hint)
    return folder(workspace, dataset, version)


def _manifest(path: Path) -> VersionManifest:
    try:
        return VersionManifest.model_validate_json((path / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise StoreError(
            f"{path / MANIFEST} is damaged: delete the folder and add the version again."
        ) from error
