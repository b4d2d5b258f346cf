"""Build a data set's folder, whole or not at all, from what an importer read."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from ctrbench.atomic import PARTIAL, atomic_folder, disk_errors, write_json
from ctrbench.errors import DataError, StoreError
from ctrbench.importing.database import has_view, scalar
from ctrbench.importing.images import copy_images, find_images, write_images
from ctrbench.importing.preparing import Prepared, Progress, Raw, prepare
from ctrbench.importing.recording import write_record
from ctrbench.importing.splits import LEAK
from ctrbench.impressions.checking import findings
from ctrbench.impressions.columns import content_hash, derive, items_hash, load, strings
from ctrbench.impressions.opening import MANIFEST, from_columns, names, read_manifest
from ctrbench.impressions.period_guards import require_own_rows
from ctrbench.impressions.unseen import with_unknown
from ctrbench.schema import DatasetManifest
from ctrbench.workspace import Workspace, check_name

NO_TIME = "No timestamps: rows keep the files' order, and nothing is known of earlier impressions."
GIVEN_HISTORY = "Histories are given: that they end before the impression cannot be verified."


def build(
    workspace: Workspace, name: str, raw: Raw, progress: Progress = lambda _: None
) -> DatasetManifest:
    """Write the data set `name`; a name that holds the same content already is left as it is.

    What import finds wrong today is noted there all the same.

    Raises:
        ConfigError: the name or the split will not do.
        DataError: a period is empty, there are only clicks or none, a field's name is unsuitable,
            no image matches, `test` holds the rows of another period, or the name exists with
            other content.
        StoreError: the workspace cannot be written.
    """
    name = check_name("data set", name)
    target = workspace.data / name
    if target.exists() and name not in names(workspace):
        raise StoreError(f"{target} is in the way and no data set; move it or choose another name.")
    prepared = prepare(raw, progress)
    progress("writing")
    if name not in names(workspace):
        with atomic_folder(target) as folder:
            return _write(workspace, folder, name, raw, prepared)
    with _scratch(workspace) as scratch:
        made = _write(workspace, Path(scratch), name, raw, prepared)
        _require_same(target, Path(scratch))
    there = read_manifest(workspace, name)
    if there.findings != made.findings:  # imported before they were looked for
        there = there.model_copy(update={"findings": made.findings})
        write_json(target / MANIFEST, there.model_dump(mode="json"))
    return there


def _scratch(workspace: Workspace) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=workspace.cache, prefix=PARTIAL)


def _write(
    workspace: Workspace, folder: Path, name: str, raw: Raw, prepared: Prepared
) -> DatasetManifest:
    write_record(raw.connection, prepared, folder)
    images, left_out = _write_images(folder, raw)
    manifest = DatasetManifest(
        name=name,
        importer=raw.importer,
        label=raw.label,
        split=raw.split,
        periods=prepared.periods,
        history=prepared.history,
        snapshot=prepared.snapshot.kind,
        snapshot_column=prepared.snapshot.column,
        has_timestamp=prepared.has_timestamp,
        has_weight=prepared.has_weight,
        has_p_true=prepared.has_p_true,
        has_images=raw.images is not None,
        fields=prepared.fields,
        counts=_counts(raw) | images,
        notes=(*raw.notes, *_notes(raw, prepared), *left_out),
        content_hash="",
        items_hash=items_hash(folder),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        ctrbench_version=version("ctrbench"),
    )
    with disk_errors(workspace.cache), _scratch(workspace) as scratch:
        derive(folder, Path(scratch))
        impressions = from_columns(manifest, dict(load(Path(scratch))))
        manifest = manifest.model_copy(update={"unknown_codes": with_unknown(impressions)})
        content = content_hash(folder, load(Path(scratch)), manifest)
        require_own_rows(impressions)
        found = findings(impressions, folder)
    manifest = manifest.model_copy(update={"content_hash": content, "findings": found})
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
    return manifest


def _counts(raw: Raw) -> dict[str, int]:
    tables = {
        "impressions": "placed",
        "clicks": "placed WHERE click = 1",
        "users": "user_ids",
        "items": "item_ids",
    }
    if has_view(raw.connection, "items"):
        tables["items_unlisted"] = "item_ids WHERE NOT listed"
    counted = {
        name: scalar(raw.connection, f"SELECT count(*) FROM {source}")
        for name, source in tables.items()
    }
    given = has_view(raw.connection, "history_lists")
    query = "SELECT coalesce(sum(length), 0)::BIGINT FROM history_lists"
    counted["history_items"] = scalar(raw.connection, query) if given else counted["clicks"]
    return counted | raw.counts


def _write_images(folder: Path, raw: Raw) -> tuple[dict[str, int], list[str]]:
    """Counts, and notes on what was left out."""
    if raw.images is None:
        return {}, []
    target = folder / "images.parquet"
    if raw.images.is_file():
        return copy_images(raw.connection, raw.images, target)
    raw_ids = list(strings(folder / "items.parquet", "raw_id"))
    found, unmatched, left_out = find_images(raw.images, raw_ids)
    size = write_images(target, found)
    counts = {"images": len(found), "image_bytes": size, "images_unmatched": unmatched}
    return counts, left_out


def _notes(raw: Raw, prepared: Prepared) -> list[str]:
    notes = [LEAK] * (raw.split.kind == "per_user")
    if raw.valid_share:
        drawn = "last by time" if prepared.has_timestamp else "drawn by a hash of user and item"
        notes.append(
            f"The valid period is {100 * raw.valid_share:g} % of the given train, {drawn}."
        )
    notes += [NO_TIME] * (not prepared.has_timestamp)
    unverified = prepared.history == "given" and not prepared.has_timestamp
    return notes + [GIVEN_HISTORY] * unverified


def _require_same(there: Path, new: Path) -> None:
    """Compare the record that is there with the one just made; what is told of it is left out."""
    import pyarrow.parquet as pq

    old_manifest, new_manifest = (
        DatasetManifest.model_validate_json((folder / MANIFEST).read_bytes()).model_dump(
            exclude={"created", "ctrbench_version", "notes", "findings"}
        )
        for folder in (there, new)
    )
    differing = [key for key, value in new_manifest.items() if value != old_manifest[key]]
    texts = [field["name"] for field in new_manifest["fields"] if field["kind"] == "text"]
    for name in texts if not differing else []:
        old, fresh = (
            pq.read_table(folder / "items.parquet", columns=[name]) for folder in (there, new)
        )
        differing += [name] * (not old.equals(fresh))
    if differing:
        raise DataError(
            f"the data set {there.name!r} exists with other content ({', '.join(differing)} "
            "differ). A data set is immutable under its name: choose another --name, or remove it "
            f"with `ctrbench datasets remove {there.name} --yes`."
        )
