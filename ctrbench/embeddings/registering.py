"""Register vectors that were computed here: the way in for encoders trained by the suite."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ctrbench.embeddings.versions import (
    folder,
    names,
    new_table,
    publish,
    read_manifest,
    seal,
    taken,
)
from ctrbench.schema import DatasetManifest, VersionManifest
from ctrbench.workspace import Workspace, check_name


def registered(
    workspace: Workspace, dataset: DatasetManifest, version: str, recipe: dict[str, Any]
) -> VersionManifest | None:
    """The version of that name if it was made by this very recipe; None: it is yet to be made.

    Raises:
        ConfigError: the name will not do, or stands for other content.
    """
    version = check_name("embedding version", version)
    if version not in names(workspace, dataset.name):
        return None
    stored = read_manifest(workspace, dataset.name, version)
    if stored.items_hash != dataset.items_hash or not recipe.items() <= stored.provenance.items():
        raise taken(stored)
    return stored


def register(
    workspace: Workspace,
    dataset: DatasetManifest,
    version: str,
    width: int,
    blocks: Iterable[tuple[np.ndarray, np.ndarray]],
    provenance: Callable[[], dict[str, Any]],
) -> tuple[VersionManifest, bool]:
    """Make a version out of (item ids (n,), vectors (n, width)) blocks; other items have none.

    Args:
        workspace: where the version will stand.
        dataset: the data set whose items have the vectors.
        version: the new name.
        width: D.
        blocks: each item at most once.
        provenance: asked for when all blocks are written; what it raises leaves nothing behind.

    Returns:
        The manifest, and whether the version is new; False: the same content stood there already.

    Raises:
        ConfigError: the name will not do, or stands for other content.
        StoreError: the workspace cannot be written.
    """
    version = check_name("embedding version", version)

    def build(path: Path) -> VersionManifest:
        rows = dataset.counts["items"] + 1
        vectors = new_table(path, (rows, width), np.dtype(np.float32))
        has_vector = np.zeros(rows, bool)
        for item_id, block in blocks:
            vectors[item_id] = block
            has_vector[item_id] = True
        return seal(path, version, dataset, has_vector, provenance())

    return publish(folder(workspace, dataset.name, version), build)
