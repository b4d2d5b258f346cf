"""Derive an embedding version from another: fit on the items of one period, apply to all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctrbench.arrays import SelectedRows, table_blocks
from ctrbench.embeddings.derivations import configured
from ctrbench.embeddings.versions import (
    field_folder,
    new_table,
    open_version,
    publish,
    read_manifest,
    seal,
)
from ctrbench.errors import DataError
from ctrbench.identity import ContentHash
from ctrbench.schema import DatasetManifest, VersionManifest
from ctrbench.workspace import Workspace, check_name


@dataclass(frozen=True)
class Fitting:
    """The items that a derivation is fitted on."""

    period: str  # pretrain, or train if the data set has no pretrain period
    items: np.ndarray  # (V,) bool, shown in the period

    @property
    def hash(self) -> str:
        """The hash of the set of items."""
        content = ContentHash()
        content.array("items", self.items)
        return content.hexdigest()


def derive_version(
    workspace: Workspace,
    dataset: DatasetManifest,
    parent: str,
    name: str,
    method: tuple[str, dict[str, object]],
    fitting: Fitting,
) -> tuple[VersionManifest, bool]:
    """Create version `name` from `parent`; coverage does not change.

    The vector field keeps its name. If version `name` exists without this field, it is added.

    Args:
        workspace: The workspace.
        dataset: The data set.
        parent: The name of the original version, or of one of its vector fields: `v7:text`.
        name: The name of the new version.
        method: The name of a derivation and its settings.
        fitting: The items to fit on; items without a vector are ignored.

    Returns:
        The manifest, and whether the version is new; False if it already existed.

    Raises:
        UnknownNameError: The version or the method does not exist.
        ConfigError: The name or a setting is invalid, or the name has other content.
        DataError: No fitting item has a vector, or the result does not fit into float32.
        StoreError: The workspace cannot be written.
    """
    name = check_name("embedding version", name)
    derivation = configured(*method)
    table = open_version(workspace, dataset.name, parent, dataset.items_hash)
    source = read_manifest(workspace, dataset.name, parent)
    target = field_folder(workspace, dataset, name, source.field)
    recipe = {
        "method": method[0],
        "settings": derivation.model_dump(mode="json"),
        "parent": parent,
        "parent_hash": source.content_hash,
        "fit_period": fitting.period,
        "fit_hash": fitting.hash,
    }
    if target.exists():
        stored = read_manifest(workspace, dataset.name, name).of(source.field)
        if stored.items_hash == dataset.items_hash and recipe.items() <= stored.provenance.items():
            return stored, False

    def build(path: Path) -> VersionManifest:
        rows = SelectedRows(table.vectors, table.has_vector & fitting.items)
        if not len(rows):
            raise DataError(f"no item of the {fitting.period} period has a vector in {parent!r}.")
        fitted = derivation.fit(rows)
        vectors = new_table(path, (len(table.vectors), fitted.width), np.dtype(np.float32))
        for block in table_blocks(table.vectors.shape):
            has = table.has_vector[block]
            vectors[block][has] = fitted.apply(table.vectors[block][has].astype(np.float64))
        facts = {"fit_items": len(rows), **fitted.facts}
        made = recipe | facts
        return seal(path, name, dataset, table.has_vector, made, field=source.field)

    return publish(workspace, target, build)
