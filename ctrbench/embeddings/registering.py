"""Register vectors that ctrbench computed, such as those of pre-trained encoders."""

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
    """Return the manifest of a version that was created by this recipe, or None.

    Args:
        workspace: The workspace.
        dataset: The data set.
        version: The name of the version.
        recipe: Everything that the vectors depend on.

    Raises:
        ConfigError: The name is invalid, or its version has other content.
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
    """Create a version from blocks of item ids and vectors.

    Args:
        workspace: The workspace.
        dataset: The data set of the items.
        version: The name of the new version.
        width: The width of the vectors, D.
        blocks: (n,) int item ids and (n, D) float32 vectors; each item at most once.
        provenance: Called after the last block; if it raises, no version is created.

    Returns:
        The manifest, and whether the version is new; False if the same content already existed.

    Raises:
        ConfigError: The name is invalid, or its version has other content.
        StoreError: The workspace cannot be written.
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

    return publish(workspace, folder(workspace, dataset.name, version), build)
