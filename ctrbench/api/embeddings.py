"""Embedding versions: `ctrbench.embeddings.add(...)` and the other functions of `embeddings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctrbench import embeddings, impressions
from ctrbench.api.inputs import Home, Ids, Location, Memory, Vectors, opened
from ctrbench.display import Listing
from ctrbench.embeddings import Source
from ctrbench.embeddings.outcomes import AddedField, AddedVersion, DerivedVersion
from ctrbench.schema import EmbeddingTable, Guard, VersionManifest
from ctrbench.version_facts import (
    QualityTable,
    VersionFacts,
    checked,
    fitting_of,
    quality_table,
    version_facts,
)
from ctrbench.version_facts import manifests as read_manifests

ROWS, NEIGHBOURS, SIZE = 12, 10, 64  # of a sheet: items, neighbours, pixels


def add(
    version: str,
    vectors: Vectors | Mapping[str, Vectors],
    *,
    dataset: str,
    ids: Ids | None = None,
    ids_column: str | None = None,
    vector_column: str | None = None,
    key: str | None = None,
    value: str | None = None,
    scale: float | None = None,
    numeric_ids: bool = False,
    codes: bool = False,
    append_to: str | None = None,
    allow_low_coverage: bool = False,
    workspace: Home = ".",
) -> AddedVersion:
    """Add a version: vectors or codes, joined to the data set's items by their ids.

    Vector fields that an existing version does not have are added to it.

    Args:
        version: The name of the version.
        vectors: A file, an array (n, D), or a table with a column of ids. Several vector fields are
            a dict of them, `{"image": "image.npz", "text": "text.npz"}`, with `Source`s for
            options of one field.
        dataset: The name of the data set.
        ids: The item id of each row, or their file, if the vectors have none.
        ids_column: The column of ids of a table, if it is neither item_id nor key.
        vector_column: The column of vectors of a table.
        key: The array of ids of a file of arrays, if not `key`.
        value: The array of vectors of a file of arrays, if not `value`.
        scale: The factor of int8 vectors; None: 1 / 127.
        numeric_ids: Match ids that are equal as numbers: 007 and 7.
        codes: Whether the numbers are codes, (n, L), instead of vectors.
        append_to: A version whose vectors are copied first.
        allow_low_coverage: Accept a version that covers less than half of the test impressions.
        workspace: The workspace, or its folder.

    Raises:
        ConfigError: The name exists with other content, or options contradict each other.
        DataError: The vectors or ids are invalid, or do not match the items.
        StoreError: The workspace cannot be written.
        UnknownNameError: The data set or the version to append to does not exist.
    """
    options = Source(Path(), None, vector_column, ids_column, key, value, scale, numeric_ids, codes)
    with Memory() as memory:
        if _is_fields(vectors):
            source = {
                field: memory.source(given, ids, options, f"vectors[{field!r}]")
                for field, given in vectors.items()
            }
        else:
            source = memory.source(vectors, ids, options, "vectors")
        return add_source(
            opened(workspace), dataset, version, source, append_to, allow_low_coverage
        )


def add_source(
    workspace: Home,
    dataset: str,
    version: str,
    source: Source | Mapping[str, Source],
    append_to: str | None = None,
    allow_low_coverage: bool = False,
    notes: Sequence[str] = (),
) -> AddedVersion:
    """Add a version, or vector fields of a version, from files.

    Args:
        workspace: The workspace, or its folder.
        dataset: The name of the data set.
        version: The name of the version.
        source: The files of its vectors, or those of each vector field by its name.
        append_to: A version whose vectors are copied first.
        allow_low_coverage: Whether to accept vectors for less than half of the test impressions.
        notes: About the vectors, for the manifest.

    Raises:
        ConfigError: See `add`.
        DataError: See `add`.
        StoreError: See `add`.
        UnknownNameError: See `add`.
    """
    home = opened(workspace)
    log = impressions.open_impressions(home, dataset)
    raw_ids = impressions.raw_item_ids(home, dataset)
    known: tuple[str, ...] = ()
    if version in embeddings.names(home, dataset):
        known = embeddings.read_manifest(home, dataset, version).field_names
    manifest, _ = embeddings.add_version(
        home, log, raw_ids, version, source, append_to, allow_low_coverage, notes
    )
    added = []
    for field in source if isinstance(source, Mapping) else manifest.field_names[:1]:
        own, reference = manifest.of(field), manifest.reference(field)
        table = embeddings.open_version(home, dataset, reference, codes=True)
        covered = embeddings.shares(table.has_vector, log)
        lost = embeddings.pairs(own.unmatched_examples, raw_ids) if own.unmatched_ids else ""
        added.append(AddedField(own, reference, field not in known, covered, lost))
    return AddedVersion(manifest, tuple(added))


def derive(
    method: str,
    version: str,
    new: str,
    *,
    dataset: str,
    settings: Mapping[str, Any] | None = None,
    workspace: Home = ".",
) -> DerivedVersion:
    """Derive a version from another, fitted on the items of the pretrain period.

    Args:
        method: The method, such as `center` or `pca`.
        version: The version to derive from; `v7:text` is one vector field.
        new: The name of the new version.
        dataset: The name of the data set.
        settings: The settings of the method, such as `{"width": 64}`.
        workspace: The workspace, or its folder.

    Raises:
        ConfigError: A setting is invalid, or the name exists with other content.
        DataError: The method cannot be fitted.
        UnknownNameError: The method, the data set or the version does not exist.
    """
    home = opened(workspace)
    log = impressions.open_impressions(home, dataset)
    made = (method, dict(settings or {}))
    manifest, is_new = embeddings.derive_version(
        home, log.manifest, version, new, made, fitting_of(log)
    )
    whole = embeddings.read_manifest(home, dataset, manifest.name)
    return DerivedVersion(manifest, whole.reference(manifest.field), is_new)


def list(dataset: str | None = None, *, workspace: Home = ".") -> Listing[VersionManifest]:
    """Return the manifests of versions, as `ctrbench embeddings list` shows them.

    Args:
        dataset: Only versions of this data set; None: of all.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: The data set does not exist.
    """
    return Listing(read_manifests(opened(workspace), dataset), "versions.show_list")


def describe(version: str, *, dataset: str, workspace: Home = ".") -> VersionFacts:
    """Return statistics of the vectors, and how much of the log they cover.

    Args:
        version: The name of the version; `v7:text` is one vector field.
        dataset: The name of the data set.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: The data set or the version does not exist.
    """
    return version_facts(opened(workspace), dataset, version)


def quality(dataset: str, versions: Sequence[str] = (), *, workspace: Home = ".") -> QualityTable:
    """Return the intrinsic quality of versions, without a CTR model.

    Args:
        dataset: The name of the data set.
        versions: The versions; empty: all.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: The data set or a version does not exist.
    """
    return quality_table(opened(workspace), dataset, versions)


def sheet(
    version: str,
    output: Location,
    *,
    dataset: str,
    rows: int = ROWS,
    neighbours: int = NEIGHBOURS,
    size: int = SIZE,
    workspace: Home = ".",
) -> int:
    """Draw random items and their nearest neighbours, and return the number of items drawn.

    Args:
        version: The name of the version.
        output: The image file to write.
        dataset: The name of the data set.
        rows: Number of random items, at least 1.
        neighbours: Number of neighbours per item, at least 1.
        size: Width of a picture in pixels, at least 16.
        workspace: The workspace, or its folder.

    Raises:
        DataError: The data set has no pictures.
        UnknownNameError: The data set or the version does not exist.
    """
    from ctrbench.pretraining.pictures import open_pictures
    from ctrbench.pretraining.sheets import write_sheet

    home = opened(workspace)
    manifest = impressions.read_manifest(home, dataset)
    table = embeddings.open_version(home, dataset, version, manifest.items_hash)
    pictures = open_pictures(home, manifest)
    return write_sheet(Path(output), table, pictures, rows, neighbours, size)


def check(version: str, *, dataset: str, workspace: Home = ".") -> Listing[Guard]:
    """Return each guard of a version and its outcome: ok, warning or error.

    Args:
        version: The name of the version.
        dataset: The name of the data set.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: The data set or the version does not exist.
    """
    return Listing(checked(opened(workspace), dataset, version), "guards.show")


def remove(version: str, *, dataset: str, force: bool = False, workspace: Home = ".") -> None:
    """Remove a version; stored records stay.

    Args:
        version: The name of the version.
        dataset: The name of the data set.
        force: Remove it even if stored records use it.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: The data set or the version does not exist.
        ConfigError: Stored records use the version, and `force` is False.
    """
    embeddings.remove_version(opened(workspace), dataset, version, force)


def open(
    version: str, *, dataset: str, codes: bool = False, workspace: Home = "."
) -> EmbeddingTable:
    """Return the vectors of a version as memory maps, rows by item_id.

    Args:
        version: The name of the version; `v7:text` is one vector field.
        dataset: The name of the data set.
        codes: Whether a version of codes is accepted.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: The version does not exist.
        DataError: The version holds codes, and `codes` is False.
    """
    return embeddings.open_version(opened(workspace), dataset, version, codes=codes)


def _is_fields(vectors: object) -> bool:
    """Return whether vectors are given by vector field, and not as the columns of a table."""
    return isinstance(vectors, Mapping) and not any(
        getattr(one, "ndim", 2) == 1 or (isinstance(one, Sequence) and not isinstance(one, str))
        for one in vectors.values()
    )
