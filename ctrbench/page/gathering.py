"""The content of a report page, from the store and, if it is in the workspace, the data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ctrbench import embeddings, impressions
from ctrbench.analysis.changed_users import ChangedUser, ChangedUsers, changed_users
from ctrbench.analysis.matrices import Records
from ctrbench.analysis.qualities import qualities
from ctrbench.analysis.shown import Place, Shown, shown
from ctrbench.codebooks import central_items, make_codebook
from ctrbench.errors import DataError
from ctrbench.page.thumbnails import Thumbnail, Thumbnails, open_thumbnails
from ctrbench.plan import Matrix
from ctrbench.quality import nearest
from ctrbench.schema import Impressions
from ctrbench.seeding import stream
from ctrbench.workspace import Workspace

VERSIONS = 4  # maximum number of versions whose neighbours are shown
QUERIES, NEIGHBOURS = 6, 5
CLUSTERS, MEMBERS = 6, 8
CODES = 50  # size of the shown codebook if no mode has one


@dataclass(frozen=True)
class Neighbours:
    """An item, and its nearest neighbours in each version."""

    item: Thumbnail
    nearest: Mapping[str, tuple[Thumbnail, ...]]  # by version


@dataclass(frozen=True)
class Clusters:
    """The largest clusters of a version, the most central items first."""

    version: str
    codes: int
    rows: tuple[tuple[Thumbnail, ...], ...]


@dataclass(frozen=True)
class PicturedUser:
    """A user whose ranking changed, with pictures of the items."""

    user: ChangedUser
    history: tuple[Thumbnail, ...]
    items: tuple[Thumbnail, ...]  # in the order of `user.items`


@dataclass(frozen=True)
class PicturedUsers:
    """The users with the largest gains and losses, with pictures."""

    found: ChangedUsers
    improved: tuple[PicturedUser, ...]
    fell: tuple[PicturedUser, ...]


@dataclass(frozen=True)
class PicturePart:
    """The part of the page that requires the data set itself."""

    notes: tuple[str, ...]  # sentences on missing parts, with the reason
    neighbours: tuple[Neighbours, ...] = ()
    clusters: Clusters | None = None
    users: PicturedUsers | None = None


@dataclass(frozen=True)
class Page:
    """The content of one report page."""

    matrix: Matrix
    records: Records
    shown: Shown
    pictures: PicturePart


def gather(
    workspace: Workspace,
    matrix: Matrix,
    records: Records,
    with_pictures: bool = True,
    looks: int = 1,
) -> Page:
    """Return the content of the page of a matrix; trains nothing.

    Args:
        workspace: The workspace that holds the results.
        matrix: The checked matrix.
        records: The stored records of its cells, by cell hash.
        with_pictures: Whether neighbours, clusters and users are shown.
        looks: Number of planned analyses, see `TablePlan.looks`.

    Raises:
        DataError: No cell of the matrix is stored.
        StoreError: A stored file is damaged.
    """
    known = qualities(workspace, matrix)
    found = shown(workspace, matrix, records, known, looks)
    if not with_pictures:
        return Page(
            matrix, records, found, PicturePart(("The report was written with --no-pictures.",))
        )
    return Page(matrix, records, found, _pictures(workspace, matrix, records, found))


def _pictures(workspace: Workspace, matrix: Matrix, records: Records, found: Shown) -> PicturePart:
    name = matrix.dataset.name
    if name not in impressions.names(workspace):
        return PicturePart(("The data set is not in this workspace, so no items are shown.",))
    manifest = impressions.read_manifest(workspace, name, matrix.dataset.outcome)
    if manifest.content_hash != matrix.dataset.content_hash:
        return PicturePart(
            ("The data set has been imported again with other content, so no items are shown.",)
        )
    log = impressions.open_impressions(workspace, name, matrix.dataset.outcome)
    thumbnails = open_thumbnails(workspace, manifest)
    notes = [thumbnails.problem] if thumbnails.problem else []
    chosen = _best(found)
    users = None
    if chosen is not None:
        changed = changed_users(workspace, matrix, records, log, (chosen.row, chosen.column))
        if changed is None:
            notes.append("Predictions are not stored with these cells, so no users are shown.")
        else:
            users = _pictured(changed, thumbnails)
    if thumbnails.problem:
        return PicturePart(tuple(notes), users=users)
    versions = _versions(matrix, found, embeddings.names(workspace, name))
    if not versions:
        notes.append("The vectors are not in this workspace, so no neighbours are shown.")
        return PicturePart(tuple(notes), users=users)
    neighbours = _neighbours(workspace, log, thumbnails, versions[:VERSIONS])
    try:
        clusters = _clusters(workspace, log, thumbnails, versions[0], found)
    except DataError as error:  # too few vectors for a codebook
        clusters = None
        notes.append(f"No clusters are shown: {error}")
    return PicturePart(tuple(notes), neighbours, clusters, users)


def _best(found: Shown) -> Place | None:
    """Return the arm with the largest gain, without controls; None if no arm has a gain."""
    judged = [one for one in found.places if one.row.control is None and one.gain is not None]
    return max(judged, key=lambda one: one.gain.estimate if one.gain else 0.0, default=None)


def _versions(matrix: Matrix, found: Shown, own: Sequence[str]) -> list[str]:
    """Return the versions of the workspace; of versions with several vector fields, those read.

    Those of the best arm are first. The others have the order of the table.
    """
    best = _best(found)
    names = [
        matrix.versions[place.row.version].reference(field)
        for place in [*([best] if best else []), *found.places]
        for field in place.column.settings.reads
        if place.row.version in own
        and matrix.versions[place.row.version].of(field).kind == "vectors"
    ]
    return list(dict.fromkeys(names))


def _neighbours(
    workspace: Workspace, log: Impressions, thumbnails: Thumbnails, versions: Sequence[str]
) -> tuple[Neighbours, ...]:
    """Return random items that all versions contain, with their neighbours in each version."""
    tables = {
        name: embeddings.open_version(workspace, log.manifest.name, name) for name in versions
    }
    common = np.logical_and.reduce([np.asarray(one.has_vector) for one in tables.values()])
    if thumbnails.pictures is not None:
        common = common & thumbnails.pictures.usable
    items = np.sort(stream(0, "page").permutation(np.flatnonzero(common))[:QUERIES])
    if not len(items):
        return ()
    near = {name: nearest(table, items, NEIGHBOURS) for name, table in tables.items()}
    return tuple(
        Neighbours(
            thumbnails.of([item])[0],
            {
                name: thumbnails.of(one for one in found[at] if one >= 0)
                for name, found in near.items()
            },
        )
        for at, item in enumerate(items.tolist())
    )


def _clusters(
    workspace: Workspace, log: Impressions, thumbnails: Thumbnails, version: str, found: Shown
) -> Clusters:
    """Return clusters with the codebook size of a mode of the matrix, fitted with seed 0."""
    sizes = [getattr(column.settings, "codebook_size", None) for column in found.table.columns]
    codes = next((size for size in sizes if isinstance(size, int)), CODES)
    table = embeddings.open_version(workspace, log.manifest.name, version)
    book = make_codebook(workspace, log, version, codes)
    central = central_items(book, table, False, CLUSTERS, MEMBERS)
    rows = tuple(thumbnails.of(item for item in row.tolist() if item >= 0) for row in central)
    return Clusters(version, codes, rows)


def _pictured(found: ChangedUsers, thumbnails: Thumbnails) -> PicturedUsers:
    def pictured(users: tuple[ChangedUser, ...]) -> tuple[PicturedUser, ...]:
        return tuple(
            PicturedUser(
                user, thumbnails.of(user.history), thumbnails.of(one.item for one in user.items)
            )
            for user in users
        )

    return PicturedUsers(found, pictured(found.improved), pictured(found.fell))
