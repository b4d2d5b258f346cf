"""Find, open and remove data sets. Training reads arrays that are derived from the tables."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import cast

import numpy as np
from pydantic import ValidationError

from ctrbench.atomic import PARTIAL, discard, disk_errors, move_folder
from ctrbench.caches import kept
from ctrbench.errors import DamagedError, StoreError, UnknownNameError
from ctrbench.identity import hash_json
from ctrbench.impressions.columns import content_hash, derive, load, strings, table_errors
from ctrbench.locks import lock
from ctrbench.schema import LABEL, ColumnValues, DatasetManifest, FieldOwner, Impressions
from ctrbench.workspace import Workspace, check_name

MANIFEST = "manifest.json"


def names(workspace: Workspace) -> list[str]:
    """Return the names of the data sets of a workspace, sorted."""
    folders = (path.parent for path in workspace.data.glob(f"*/{MANIFEST}"))
    return sorted(folder.name for folder in folders if not folder.name.startswith(PARTIAL))


def dataset_folder(workspace: Workspace, name: str) -> Path:
    """Return the folder of a data set.

    Args:
        workspace: Where the data set is stored.
        name: The name of the data set.

    Raises:
        ConfigError: The name is not valid.
        UnknownNameError: The data set does not exist.
    """
    known, name = names(workspace), check_name("data set", name)
    if name not in known:
        hint = f"Looked in {workspace.data}; `ctrbench datasets import` creates one."
        raise UnknownNameError("data set", name, known, hint)
    return workspace.data / name


def read_manifest(workspace: Workspace, name: str, label: str | None = None) -> DatasetManifest:
    """Return the manifest of a data set.

    Args:
        workspace: Where the data set is stored.
        name: The name of the data set.
        label: The label that takes the place of the click as outcome; None: the click.

    Raises:
        ConfigError: The name is not valid.
        UnknownNameError: The data set does not exist, or does not have the label.
        StoreError: The manifest is damaged.
    """
    path = dataset_folder(workspace, name) / MANIFEST
    try:
        manifest = DatasetManifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise StoreError(
            f"{path} is damaged or of another version: remove the data set and import it again."
        ) from error
    return manifest if label is None else with_label(manifest, label)


def open_impressions(workspace: Workspace, name: str, label: str | None = None) -> Impressions:
    """Return a data set as memory-mapped columns.

    The arrays below `cache/` are written by the import. If they were deleted, they are derived
    again from the tables.

    Args:
        workspace: Where the data set is stored.
        name: The name of the data set.
        label: The label that takes the place of the click as outcome; None: the click. Histories
            and earlier counts are always those of clicks.

    Raises:
        UnknownNameError: The data set does not exist, or does not have the label.
        StoreError: A table is damaged, or the cache cannot be written.
    """
    manifest = read_manifest(workspace, name)
    outcome = manifest if label is None else with_label(manifest, label)
    arrays = derived_arrays(workspace, manifest)
    try:
        columns = dict(load(arrays))
        if label is not None:
            columns.pop("impressions.p_true", None)  # the probability of a click
            columns["impressions.click"] = columns[f"impressions.{LABEL}{label}"]
        return from_columns(outcome, columns)
    except KeyError as error:
        raise DamagedError(
            f"{arrays} lacks the column {error}: delete the folder; ctrbench derives it again."
        ) from error


def require_intact(workspace: Workspace, name: str) -> None:
    """Check the content of a data set against its hash; derive damaged arrays again.

    Args:
        workspace: Where the data set is stored.
        name: The name of the data set.

    Raises:
        DamagedError: The files of the data set are damaged, or were changed after the import.
        StoreError: The cache cannot be written.
    """
    manifest = read_manifest(workspace, name)
    for attempt in range(2):
        arrays = derived_arrays(workspace, manifest)
        try:
            open_impressions(workspace, name)
            stored = content_hash(workspace.data / name, load(arrays), manifest)
        except (OSError, ValueError, DamagedError):  # a file is missing or cut short
            stored = ""
        if stored == manifest.content_hash:
            return
        if attempt == 0:
            with disk_errors(arrays):
                shutil.rmtree(arrays)
    raise DamagedError(
        f"data set {name!r} is damaged: its files changed after the import. Restore "
        f"{workspace.data / name}, or remove the data set and import it again."
    )


def with_label(manifest: DatasetManifest, label: str) -> DatasetManifest:
    """Return the manifest of the data set with another label as outcome, which is other content.

    Args:
        manifest: The manifest of the data set.
        label: One of its further labels.

    Raises:
        UnknownNameError: The data set does not have the label.
    """
    if label not in manifest.labels:
        hint = "`ctrbench datasets import table --labels` keeps further labels."
        raise UnknownNameError("label", label, manifest.labels, hint)
    content = hash_json([manifest.content_hash, label])
    changed = {"label": f"{label} = 1", "outcome": label, "has_p_true": False}
    return manifest.model_copy(update={**changed, "content_hash": content})


def keep_arrays(workspace: Workspace, manifest: DatasetManifest, arrays: Path) -> None:
    """Move arrays that `derive` wrote to where `open_impressions` finds them.

    Does nothing if arrays of the same content are there already.

    Args:
        workspace: Where the data set is stored.
        manifest: The manifest of the data set.
        arrays: The folder of the arrays, in the same workspace.

    Raises:
        StoreError: The cache cannot be written.
    """
    target = _derived_folder(workspace, manifest)
    with lock(workspace.cache / "locks" / f"data-{manifest.content_hash}.lock"):
        if not target.exists():
            move_folder(arrays, target)


def derived_arrays(workspace: Workspace, manifest: DatasetManifest) -> Path:
    """Return the folder of the arrays of a data set, derived from its tables if it is missing.

    Args:
        workspace: Where the data set is stored.
        manifest: The manifest of the data set.

    Raises:
        StoreError: A table is damaged, or the arrays cannot be written.
    """
    tables = workspace.data / manifest.name
    folder = _derived_folder(workspace, manifest)
    return kept(workspace, folder, lambda empty: derive(tables, empty), checked=False)


def _derived_folder(workspace: Workspace, manifest: DatasetManifest) -> Path:
    """Return the folder of the arrays that are derived from a data set.

    Args:
        workspace: Where the data set is stored.
        manifest: The manifest of the data set.
    """
    return workspace.cache / "data" / manifest.content_hash


def raw_item_ids(workspace: Workspace, name: str) -> list[str]:
    """Return the raw ids of item_id 1, 2, ...: entry i belongs to item_id i + 1.

    Args:
        workspace: Where the data set is stored.
        name: The name of the data set.
    """
    return list(strings(dataset_folder(workspace, name) / "items.parquet", "raw_id"))


def raw_user_ids(workspace: Workspace, name: str) -> list[str]:
    """Return the raw ids of user_id 1, 2, ...: entry i belongs to user_id i + 1.

    Args:
        workspace: Where the data set is stored.
        name: The name of the data set.
    """
    return list(strings(dataset_folder(workspace, name) / "users.parquet", "raw_id"))


def item_texts(workspace: Workspace, name: str, field: str) -> list[str | None]:
    """Return a text field of item_id 1, 2, ...; None where it is missing.

    Args:
        workspace: Where the data set is stored.
        name: The name of the data set.
        field: The name of the field.

    Raises:
        UnknownNameError: The items have no such text field.
    """
    fields = [f.name for f in read_manifest(workspace, name).fields if f.kind == "text"]
    if field not in fields:
        raise UnknownNameError("text field", field, fields)
    return list(strings(dataset_folder(workspace, name) / "items.parquet", field))


def vocabulary(workspace: Workspace, name: str, field: str) -> list[str]:
    """Return the values of a categorical or list field: entry i belongs to code i + 1.

    Args:
        workspace: Where the data set is stored.
        name: The name of the data set.
        field: The name of the field.

    Raises:
        UnknownNameError: The data set has no such field.
    """
    fields = [f.name for f in read_manifest(workspace, name).fields if f.size]
    if field not in fields:
        raise UnknownNameError("categorical or list field", field, fields)
    return field_values(dataset_folder(workspace, name), field)


def field_values(tables: Path, field: str) -> list[str]:
    """Return the values of a categorical or list field.

    Args:
        tables: The folder of a data set.
        field: The name of the field.
    """
    import pyarrow.parquet as pq

    path = tables / "vocabularies.parquet"
    with table_errors(path):
        table = pq.read_table(path, columns=["value"], filters=[("field", "=", field)])
    return table.column("value").to_pylist()


def items_with_image(workspace: Workspace, name: str) -> np.ndarray:
    """Return (V,) bool, whether each item has a stored image; row 0 has none.

    Args:
        workspace: Where the data set is stored.
        name: The name of the data set.
    """
    import pyarrow.parquet as pq

    manifest = read_manifest(workspace, name)
    mask = np.zeros(manifest.counts["items"] + 1, bool)
    if manifest.has_images:
        path = dataset_folder(workspace, name) / "images.parquet"
        with table_errors(path):
            mask[pq.read_table(path, columns=["item_id"]).column(0).to_numpy()] = True
    return mask


def remove(workspace: Workspace, name: str) -> None:
    """Delete a data set and its derived arrays.

    The name disappears at once, even if the command is interrupted afterwards.

    Args:
        workspace: Where the data set is stored.
        name: The name of the data set.

    Raises:
        UnknownNameError: The data set does not exist.
        StoreError: The workspace cannot be written.
    """
    folder = dataset_folder(workspace, name)
    with suppress(ValidationError, OSError):  # a damaged data set can be removed, too
        manifest = DatasetManifest.model_validate_json((folder / MANIFEST).read_bytes())
        shutil.rmtree(_derived_folder(workspace, manifest), ignore_errors=True)
    discard(folder)


def from_columns(manifest: DatasetManifest, columns: dict[str, ColumnValues]) -> Impressions:
    """Return impressions from their columns.

    Args:
        manifest: The manifest of the data set.
        columns: `<table>.<column>` -> values, as `columns.load` yields them.
    """
    arrays = cast(dict[str, np.ndarray], columns)  # none of the columns below is ragged

    def fields(owner: FieldOwner, table: str) -> dict[str, ColumnValues]:
        return {
            field.name: columns[f"{table}.{field.name}"]
            for field in manifest.fields
            if field.of == owner and field.kind != "text"
        }

    return Impressions(
        manifest=manifest,
        user_id=arrays["impressions.user_id"],
        item_id=arrays["impressions.item_id"],
        click=arrays["impressions.click"],
        history_start=arrays["impressions.history_start"],
        history_length=arrays["impressions.history_length"],
        history_items=arrays["history.item_id"],
        timestamp=arrays.get("impressions.timestamp"),
        weight=arrays.get("impressions.weight"),
        prior_impressions=arrays.get("impressions.prior_impressions"),
        prior_clicks=arrays.get("impressions.prior_clicks"),
        p_true=arrays.get("impressions.p_true"),
        user_fields=fields("user", "users"),
        item_fields=fields("item", "items"),
        context_fields=fields("context", "impressions"),
        group=arrays.get("impressions.group_id"),
    )
