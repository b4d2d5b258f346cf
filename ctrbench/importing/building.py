"""Build the folder of a data set atomically from the result of an importer."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from ctrbench.atomic import atomic_folder, disk_errors, partial_folder, write_json
from ctrbench.errors import DataError, StoreError
from ctrbench.importing.images import copy_images, find_images, write_images
from ctrbench.importing.numbered_log import NumberedLog, number_log
from ctrbench.importing.raw import Progress, Raw
from ctrbench.importing.relations import release_memory
from ctrbench.importing.splits import LEAK
from ctrbench.importing.tables import write_tables
from ctrbench.impressions.checking import findings
from ctrbench.impressions.columns import content_hash, derive, items_hash, load, strings
from ctrbench.impressions.opening import (
    MANIFEST,
    from_columns,
    keep_arrays,
    names,
    read_manifest,
)
from ctrbench.impressions.period_guards import require_own_rows
from ctrbench.impressions.unseen import with_unknown
from ctrbench.schema import DatasetManifest
from ctrbench.workspace import Workspace, check_name

IMPORT_OPTIONS = "import.yaml"  # the options of the import
NO_TIME = "No timestamps: rows keep the files' order, and earlier impressions are unknown."
GIVEN_HISTORY = "Histories are given; it cannot be verified that they end before the impression."


def build(
    workspace: Workspace, name: str, raw: Raw, progress: Progress = lambda _: None
) -> DatasetManifest:
    """Write a data set and return its manifest.

    An existing data set with the same content is unchanged, except that its notes and findings
    become those of the current import.

    Args:
        workspace: Where the data set is stored.
        name: The name of the data set.
        raw: The result of an importer.
        progress: Receives a short description of each step when it begins.

    Raises:
        UnknownNameError: The snapshot names a column that the log lacks.
        ConfigError: The name, the split or the snapshot is not valid.
        DataError: The log cannot become a data set (see `number_log`), no image matches an item,
            all rows of `valid` or `test` also occur in another period, or the name exists with
            other content.
        StoreError: The workspace cannot be written.
    """
    name = check_name("data set", name)
    target = workspace.data / name
    if target.exists() and name not in names(workspace):
        raise StoreError(f"{target} is not a data set; move it or choose another name.")
    log = number_log(raw, progress)
    progress("writing")
    with disk_errors(workspace.cache), partial_folder(workspace.cache) as scratch:
        arrays, tables = scratch / "arrays", scratch / "tables"
        arrays.mkdir()
        if name not in names(workspace):
            with atomic_folder(target) as folder:
                manifest = _write(folder, arrays, name, log)
        else:
            tables.mkdir()
            made = _write(tables, arrays, name, log)
            _require_same(target, tables)
            manifest = _with_texts(target, read_manifest(workspace, name), made)
        keep_arrays(workspace, manifest, arrays)
    return manifest


def _with_texts(target: Path, stored: DatasetManifest, current: DatasetManifest) -> DatasetManifest:
    """Return the stored manifest with the notes and findings of the current import.

    An older ctrbench may have stored others, and vectors may have been missing before.
    """
    texts = {"notes": current.notes, "findings": current.findings}
    manifest = stored.model_copy(update=texts)
    if manifest != stored:
        write_json(target / MANIFEST, manifest.model_dump(mode="json"))
    return manifest


def _write(folder: Path, arrays: Path, name: str, log: NumberedLog) -> DatasetManifest:
    """Write tables, images and manifest into one folder, and derived arrays into another."""
    raw = log.raw
    write_tables(log, folder)
    if raw.options:
        (folder / IMPORT_OPTIONS).write_text(raw.options, encoding="utf-8")
    images, left_out = _write_images(folder, log)
    counts = _counts(log) | images
    release_memory(log.impressions.connection)
    manifest = DatasetManifest(
        name=name,
        importer=raw.importer,
        label=raw.label,
        labels=raw.labels,
        split=raw.split,
        periods=log.periods,
        history=log.history,
        snapshot=raw.snapshot.kind,
        snapshot_column=raw.snapshot.column,
        has_timestamp=log.has("timestamp"),
        has_weight=log.has("weight"),
        has_p_true=log.has("p_true"),
        has_images=raw.images is not None,
        fields=log.fields,
        counts=counts,
        notes=(*raw.notes, *_notes(log), *left_out),
        content_hash="",
        items_hash=items_hash(folder),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        ctrbench_version=version("ctrbench"),
    )
    derive(folder, arrays)
    impressions = from_columns(manifest, dict(load(arrays)))
    manifest = manifest.model_copy(update={"unknown_codes": with_unknown(impressions)})
    content = content_hash(folder, load(arrays), manifest)
    require_own_rows(impressions)
    found = findings(impressions, folder)
    manifest = manifest.model_copy(update={"content_hash": content, "findings": found})
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
    return manifest


def _counts(log: NumberedLog) -> dict[str, int]:
    rows, ids = log.impressions, log.ids
    impressions, clicks = rows.one_row("count(*), count(*) FILTER (click = 1)")
    items, unlisted = ids.items.one_row("count(*), count(*) FILTER (NOT listed)")
    (users,) = ids.users.one_row("count(*)")
    counted = {"impressions": impressions, "clicks": clicks, "users": users, "items": items}
    if log.raw.items is not None:
        counted["items_unlisted"] = unlisted
    counted["history_items"] = clicks
    if log.histories is not None:
        total = "coalesce(sum(length), 0)::BIGINT"
        (counted["history_items"],) = log.histories.lists.one_row(total)
    return counted | log.raw.counts


def _write_images(folder: Path, log: NumberedLog) -> tuple[dict[str, int], list[str]]:
    """Write the images, if any; return counts, and notes on files that were left out."""
    images = log.raw.images
    if images is None:
        return {}, []
    target = folder / "images.parquet"
    if images.is_file():
        return copy_images(log.ids.items, images, target)
    raw_ids = list(strings(folder / "items.parquet", "raw_id"))
    found, unmatched, left_out = find_images(images, raw_ids)
    size = write_images(target, found)
    counts = {"images": len(found), "image_bytes": size, "images_unmatched": unmatched}
    return counts, left_out


def _notes(log: NumberedLog) -> list[str]:
    raw, has_timestamp = log.raw, log.has("timestamp")
    notes = [LEAK] * (raw.split.kind == "per_user")
    if raw.valid_share:
        drawn = "last by time" if has_timestamp else "drawn by a hash of user and item"
        notes.append(
            f"The valid period is {100 * raw.valid_share:g} % of the given train, {drawn}."
        )
    notes += [NO_TIME] * (not has_timestamp)
    unverified = log.history == "given" and not has_timestamp
    return notes + [GIVEN_HISTORY] * unverified


def _require_same(stored: Path, new: Path) -> None:
    """Raise an error if the content differs from that of the data set stored under the name.

    Dates, versions, notes and findings may differ.

    Raises:
        DataError: The content differs.
    """
    import pyarrow.parquet as pq

    old_manifest, new_manifest = (
        DatasetManifest.model_validate_json((folder / MANIFEST).read_bytes()).model_dump(
            exclude={"created", "ctrbench_version", "notes", "findings"}
        )
        for folder in (stored, new)
    )
    differing = [key for key, value in new_manifest.items() if value != old_manifest[key]]
    texts = [field["name"] for field in new_manifest["fields"] if field["kind"] == "text"]
    for name in texts if not differing else []:
        old, fresh = (
            pq.read_table(folder / "items.parquet", columns=[name]) for folder in (stored, new)
        )
        differing += [name] * (not old.equals(fresh))
    if differing:
        raise DataError(
            f"the data set {stored.name!r} exists with other content ({', '.join(differing)} "
            "differ). A data set is immutable under its name: choose another --name, or remove it "
            f"with `ctrbench datasets remove {stored.name} --yes`."
        )
