"""Stored cells and manifests of all versions of a data set, from any benchmark file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ctrbench import embeddings, impressions
from ctrbench.errors import UnknownNameError
from ctrbench.schema import Cell, CellRecord, DatasetManifest, Metrics, VersionManifest
from ctrbench.store import Store
from ctrbench.workspace import Workspace, check_name


@dataclass(frozen=True)
class StoredVersions:
    """The current data set, its versions, and every stored cell."""

    dataset: DatasetManifest
    versions: Mapping[str, VersionManifest]  # by name; without those whose manifest is lost
    records: tuple[CellRecord, ...]  # of any protocol, import and benchmark file
    influence: Callable[[Cell], Mapping[str, np.ndarray]]  # as `Store.influence`
    reference: Metrics | None = None  # test metrics of a simple model that a baseline should beat


def stored_versions(workspace: Workspace, name: str) -> StoredVersions:
    """Return the stored cells and manifests of a data set.

    Args:
        workspace: The workspace.
        name: The name of the data set. Its files are not required if results or a pack are stored.

    Raises:
        ConfigError: The name is not valid.
        StoreError: A record or a manifest is damaged.
        UnknownNameError: Neither data/ nor results/ has such a data set.
    """
    store, name = Store(workspace), check_name("data set", name)
    known, summary = impressions.names(workspace), store.read_summary(name)
    if name in known:
        dataset = impressions.read_manifest(workspace, name)
    elif summary is not None:
        dataset = summary.manifest
    else:
        hint = "Import it with `ctrbench datasets import`."
        raise UnknownNameError("data set", name, known, hint)
    same = summary is not None and summary.manifest.content_hash == dataset.content_hash
    return StoredVersions(
        dataset,
        _manifests(workspace, store, name),
        tuple(record for record in store.records(name) if not record.cell.imported),
        store.influence,
        summary.reference if summary is not None and same else None,
    )


def _manifests(workspace: Workspace, store: Store, dataset: str) -> dict[str, VersionManifest]:
    """Return the manifest of each version: that of its vectors, else that of its last run."""
    registered = embeddings.names(workspace, dataset)
    found = {name: embeddings.read_manifest(workspace, dataset, name) for name in registered}
    for name in store.version_names(dataset):
        stored = None if name in found else store.read_version(dataset, name)
        if stored is not None:
            found[name] = stored
    return found
