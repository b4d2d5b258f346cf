"""What a workspace holds of a data set's versions, whichever benchmark files they were run with."""

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
    """The data set as it is now, its versions, and every stored cell."""

    dataset: DatasetManifest
    versions: Mapping[str, VersionManifest]  # by name; lacks those whose manifest is lost
    records: tuple[CellRecord, ...]  # of any protocol, import and benchmark file
    influence: Callable[[Cell], Mapping[str, np.ndarray]]  # as `Store.influence`
    reference: Metrics | None = None  # test metrics of the simple rule a baseline should beat


def stored_versions(workspace: Workspace, name: str) -> StoredVersions:
    """Return what is stored of a data set.

    Args:
        workspace: The workspace.
        name: The name of the data set. Its files may be gone: results, or a pack, suffice.

    Raises:
        ConfigError: The name is no name.
        StoreError: A record or a manifest is damaged.
        UnknownNameError: Neither data/ nor results/ has such a data set.
    """
    store, check = Store(workspace), check_name("data set", name)
    known, summary = impressions.names(workspace), store.read_summary(check)
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
        tuple(store.records(name)),
        store.influence,
        summary.reference if summary is not None and same else None,
    )


def _manifests(workspace: Workspace, store: Store, dataset: str) -> dict[str, VersionManifest]:
    """Of every version: the one beside its vectors, else the one that the last run kept."""
    registered = embeddings.names(workspace, dataset)
    found = {name: embeddings.read_manifest(workspace, dataset, name) for name in registered}
    for name in store.version_names(dataset):
        kept = None if name in found else store.read_version(dataset, name)
        if kept is not None:
            found[name] = kept
    return found
