"""Open, publish and remove the folder of an embedding version."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from ctrbench import __version__
from ctrbench.arrays import (
    NPY_ERRORS,
    map_npy,
    release,
    save_array,
    table_blocks,
    write_npy,
)
from ctrbench.atomic import (
    PARTIAL,
    atomic_folder,
    discard,
    disk_errors,
    partial_folder,
    sweep,
    write_json,
)
from ctrbench.embeddings.directions import has_direction
from ctrbench.errors import ConfigError, DamagedError, DataError, StoreError, UnknownNameError
from ctrbench.identity import ContentHash
from ctrbench.printable import counted
from ctrbench.schema import (
    IMAGE,
    OF_VERSION,
    DatasetManifest,
    EmbeddingTable,
    VersionManifest,
)
from ctrbench.workspace import Workspace, check_name

VECTORS, MASK, MANIFEST = "vectors.npy", "has_vector.npy", "manifest.json"
FIELDS = "fields"  # the folder of all vector fields but the first


def folder(workspace: Workspace, dataset: str, version: str) -> Path:
    """Return the folder of a version.

    Args:
        workspace: The workspace.
        dataset: The name of the data set.
        version: The name of the version.
    """
    return workspace.embeddings / dataset / version


def field_folder(
    workspace: Workspace, dataset: DatasetManifest, version: str, field: str = IMAGE
) -> Path:
    """Return the folder of a vector field, which may not exist yet.

    The first field of a version is stored in the folder of the version.

    Args:
        workspace: The workspace.
        dataset: The data set.
        version: The name of the version.
        field: The name of the field.

    Raises:
        ConfigError: The name of the field is invalid, or the version was joined to other items.
    """
    whole, field = folder(workspace, dataset.name, version), check_name("vector field", field)
    if version not in names(workspace, dataset.name):
        return whole
    stored = _manifest(whole)
    if stored.field == field:
        return whole
    if stored.items_hash != dataset.items_hash:
        raise taken(stored)
    return whole / FIELDS / field


def datasets(workspace: Workspace) -> list[str]:
    """Return the names of the data sets that have at least one version."""
    found = workspace.embeddings.iterdir() if workspace.embeddings.is_dir() else ()
    return sorted(path.name for path in found if names(workspace, path.name))


def names(workspace: Workspace, dataset: str) -> list[str]:
    """Return the sorted versions of a data set, except unfinished ones.

    Args:
        workspace: The workspace.
        dataset: The name of the data set.
    """
    found = (workspace.embeddings / dataset).glob(f"*/{MANIFEST}")
    return sorted(path.parent.name for path in found if not path.parent.name.startswith(PARTIAL))


def read_manifest(workspace: Workspace, dataset: str, version: str) -> VersionManifest:
    """Return the manifest of a version, or of one vector field.

    Args:
        workspace: The workspace.
        dataset: The name of the data set.
        version: The name of the version, or of one vector field, such as `v7:text`.

    Raises:
        UnknownNameError: The data set has no such version, or the version has no such field.
        StoreError: The manifest is damaged.
    """
    name, colon, field = version.partition(OF_VERSION)
    path = _existing(workspace, dataset, name)
    further = sorted(path.glob(f"{FIELDS}/*/{MANIFEST}"))
    manifests = (_manifest(one.parent) for one in further if PARTIAL not in one.parent.name)
    whole = _manifest(path).model_copy(update={"further": tuple(manifests)})
    return whole.of(field) if colon else whole


def open_version(
    workspace: Workspace,
    dataset: str,
    version: str,
    items_hash: str | None = None,
    codes: bool = False,
) -> EmbeddingTable:
    """Return the table of a version, memory-mapped and read-only.

    Args:
        workspace: The workspace.
        dataset: The name of the data set.
        version: The name of the version, or of one vector field, such as `v7:text`. A version with
            several fields requires the name of one.
        items_hash: The expected hash of the items; None skips the check.
        codes: Whether the caller also works with codes.

    Raises:
        UnknownNameError: The data set has no such version, or the version has no such field.
        ConfigError: The version has several vector fields, and none is named, or it holds codes
            and the caller requires vectors.
        DataError: The rows of the version do not match the current items of the data set.
        StoreError: A file of the version is damaged.
    """
    manifest = read_manifest(workspace, dataset, version)
    if items_hash not in (None, manifest.items_hash):
        raise DataError(
            f"embedding version {version!r} does not match the current items of data set "
            f"{dataset!r}; remove the version and add it again."
        )
    if manifest.further:
        raise ConfigError(
            f"embedding version {version!r} of {dataset!r} has several vector fields: "
            f"{', '.join(manifest.field_names)}. Name one of them, such as "
            f"{manifest.reference(None)}."
        )
    if manifest.code_counts and not codes:
        raise ConfigError(
            f"embedding version {version!r} of {dataset!r} holds codes, but vectors are required "
            "here; name a version of vectors."
        )
    path = _existing(workspace, dataset, version.partition(OF_VERSION)[0])
    first = _manifest(path).field == manifest.field
    table = open_table(path if first else path / FIELDS / manifest.field)
    shape = (len(table.has_vector), manifest.width)
    if table.vectors.shape != shape or table.vectors.dtype != manifest.dtype:
        raise StoreError(
            f"embedding version {version!r} of {dataset!r} is damaged: {VECTORS} contains "
            f"{table.vectors.dtype} {table.vectors.shape}, but the manifest states "
            f"{manifest.dtype} {shape}; remove the version and add it again."
        )
    return table


def open_table(path: Path) -> EmbeddingTable:
    """Return the table in the folder of a version, memory-mapped and read-only.

    Raises:
        StoreError: A file is missing or damaged.
    """
    try:
        return EmbeddingTable(
            vectors=map_npy(path / VECTORS),
            has_vector=map_npy(path / MASK),
        )
    except (OSError, *NPY_ERRORS) as error:
        raise StoreError(
            f"embedding version in {path} is damaged: {error}; remove it and add it again."
        ) from error


def new_table(path: Path, shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """Create a table of zeros in the folder of a version; return its writable memory map.

    The zeros are written to disk, so that a full disk raises an error here. Otherwise, a later
    write to the memory map would crash.

    Args:
        path: The folder.
        shape: The shape of the table, (V, D).
        dtype: The dtype of the table.
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
    field: str = IMAGE,
) -> VersionManifest:
    """Write mask and manifest of finished vectors or codes; a zero vector counts as missing.

    Args:
        path: The folder with the vectors.
        version: The name of the version.
        dataset: The data set of the items.
        has_vector: (V,) bool.
        provenance: The origin of the vectors.
        unmatched: The number of ids that are not in the data set, and examples.
        field: The vector field of the version.

    Raises:
        DataError: All vectors are zero.
    """
    has_vector = np.array(has_vector)
    given = np.load(path / VECTORS, mmap_mode="r+")
    codes = given.dtype.kind == "i"
    zero = 0 if codes else _leave_out_zeros(given, has_vector)
    if zero and not has_vector.any():
        raise DataError(f"{version!r} has only zero vectors ({zero:,}); nothing was stored.")
    save_array(path / MASK, has_vector)
    table = open_table(path)
    manifest = VersionManifest(
        name=version,
        dataset=dataset.name,
        field=field,
        items_hash=dataset.items_hash,
        width=table.vectors.shape[1],
        dtype=str(table.vectors.dtype),
        code_counts=code_counts(table) if codes else (),
        items_with_vector=int(has_vector.sum()),
        zero_vectors=zero,
        unmatched_ids=unmatched[0],
        unmatched_examples=unmatched[1],
        provenance=provenance,
        content_hash=table_hash(table),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        ctrbench_version=__version__,
    )
    write_json(path / MANIFEST, manifest.model_dump(mode="json", exclude={"further"}))
    return manifest


def code_counts(table: EmbeddingTable) -> tuple[int, ...]:
    """Return the number of distinct codes of each level of a table of codes."""
    given = table.vectors[table.has_vector]
    return tuple(len(np.unique(level)) for level in given.T)


def numbered_codes(table: EmbeddingTable) -> EmbeddingTable:
    """Return the codes numbered from 0 in increasing order, separately for each level.

    Args:
        table: A version of codes.

    Returns:
        A table in memory, (V, L) int64. Items without codes have zeros.

    >>> given = np.array([[0, 0], [7, 5], [3, 5]])
    >>> numbered_codes(EmbeddingTable(given, np.array([False, True, True]))).vectors.tolist()
    [[0, 0], [1, 0], [0, 0]]
    """
    has = np.asarray(table.has_vector)
    made = np.zeros(table.vectors.shape, np.int64)
    for level, given in enumerate(table.vectors[has].T):
        made[has, level] = np.unique(given, return_inverse=True)[1].ravel()
    return EmbeddingTable(made, has)


def _leave_out_zeros(vectors: np.ndarray, has_vector: np.ndarray) -> int:
    """Clear vectors without a direction; return their number."""
    zero = 0
    for rows in table_blocks(vectors.shape):
        lost = np.flatnonzero(has_vector[rows])
        lost = rows.start + lost[~has_direction(vectors[rows][lost])]
        vectors[lost], has_vector[lost] = 0, False
        zero += len(lost)
        release(vectors)
    return zero


def table_hash(table: EmbeddingTable) -> str:
    """Return the hash of a table and its mask."""
    content = ContentHash()
    content.array("vectors", table.vectors)
    content.array("has_vector", table.has_vector)
    return content.hexdigest()


def require_intact(workspace: Workspace, dataset: str, version: str) -> None:
    """Check the content of all vector fields of a version against their hashes.

    Args:
        workspace: The workspace.
        dataset: The name of the data set.
        version: The name of the version.

    Raises:
        DamagedError: A file is damaged, or was changed after it was added.
    """
    manifest = read_manifest(workspace, dataset, version)
    for field in manifest.field_names:
        reference = manifest.reference(field)
        table = open_version(workspace, dataset, reference, codes=True)
        if table_hash(table) != manifest.of(field).content_hash:
            raise DamagedError(
                f"embedding version {reference!r} of {dataset!r} is damaged: its files changed "
                "after they were added. Remove the version and add it again."
            )


def publish(
    workspace: Workspace, target: Path, build: Callable[[Path], VersionManifest]
) -> tuple[VersionManifest, bool]:
    """Build a version or a vector field in a temporary folder and move it into place.

    What killed commands left below embeddings/ and cache/ is deleted.

    Args:
        workspace: The workspace.
        target: The folder of the version or of the field.
        build: Fills an empty folder and returns the manifest.

    Returns:
        The stored manifest, and whether it is new; False if the same content already existed.

    Raises:
        ConfigError: A version of this name has other content; a version is immutable.
        StoreError: The workspace cannot be written.
    """
    sweep(workspace.embeddings, workspace.cache)
    if not target.exists():
        with atomic_folder(target) as path:
            return build(path), True
    with disk_errors(target), partial_folder(target.parent) as aside:
        made = build(aside)
    stored = _manifest(target)
    if (made.content_hash, made.items_hash) == (stored.content_hash, stored.items_hash):
        return stored, False
    raise taken(stored)


def taken(stored: VersionManifest) -> ConfigError:
    """Return the error for a name whose version has other content."""
    field = "" if stored.field == IMAGE else f" with vector field {stored.field!r}"
    return ConfigError(
        f"embedding version {stored.name!r} of {stored.dataset!r}{field} exists with other "
        "content, and a version is immutable. Choose a new name, or run `ctrbench embeddings "
        f"remove {stored.name} --dataset {stored.dataset} --yes` first."
    )


def stored_records(workspace: Workspace, dataset: str, version: str) -> list[Path]:
    """Return the records of cells that use a version or a control of it.

    Args:
        workspace: The workspace.
        dataset: The name of the data set.
        version: The name of the version.
    """
    results = workspace.results / dataset
    found = [*results.glob(f"{version}/*/*.json"), *results.glob(f"{version}@*/*/*.json")]
    return sorted(path for path in found if not path.name.startswith(PARTIAL))


def remove_version(workspace: Workspace, dataset: str, version: str, force: bool = False) -> None:
    """Delete a version; if its folder is a link, delete only the link.

    Args:
        workspace: The workspace.
        dataset: The name of the data set.
        version: The name of the version.
        force: Whether to delete a version that stored records use.

    Raises:
        UnknownNameError: The data set has no such version.
        ConfigError: Stored records use the version, and `force` is False.
    """
    target = _existing(workspace, dataset, version)
    dataset, version = target.parent.name, target.name
    records = stored_records(workspace, dataset, version)
    if records and not force:
        using = counted(len(records), "stored record uses", "stored records use")
        raise ConfigError(
            f"{using} embedding version {version!r} of {dataset!r}, such as "
            f"{records[0].relative_to(workspace.home)}. Without the version they stay readable, "
            "but missing cells cannot be trained. --force removes the version anyway."
        )
    discard(target)


def _existing(workspace: Workspace, dataset: str, version: str) -> Path:
    """Return the folder of an existing version."""
    dataset, version = check_name("data set", dataset), check_name("embedding version", version)
    known = names(workspace, dataset)
    if version not in known:
        place = workspace.embeddings / dataset
        hint = f"Searched in {place}; add a version with `ctrbench embeddings add`."
        raise UnknownNameError("embedding version", version, known, hint)
    return folder(workspace, dataset, version)


def _manifest(path: Path) -> VersionManifest:
    try:
        return VersionManifest.model_validate_json((path / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise StoreError(
            f"{path / MANIFEST} is damaged; delete the folder and add the version again."
        ) from error
