"""Adds embedding versions from files and prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ctrbench import embeddings, impressions
from ctrbench.terminal import versions as terminal
from ctrbench.workspace import Workspace


def add_version(
    workspace: Workspace,
    dataset: str,
    version: str,
    source: embeddings.Source | Mapping[str, embeddings.Source],
    append_to: str | None = None,
    allow_low_coverage: bool = False,
    notes: Sequence[str] = (),
) -> None:
    """Add a version or vector fields of a version from files, and print what was added.

    Args:
        workspace: The workspace.
        dataset: The name of the data set.
        version: The name of the version.
        source: The files of its vectors, or those of each vector field by its name.
        append_to: A version whose vectors are copied first.
        allow_low_coverage: Whether to accept vectors for less than half of the test impressions.
        notes: About the vectors, for the manifest.

    Raises:
        ConfigError: See `embeddings.add_version`.
        DataError: See `embeddings.add_version`.
        StoreError: See `embeddings.add_version`.
        UnknownNameError: The data set or the version to append to does not exist.
    """
    log = impressions.open_impressions(workspace, dataset)
    raw_ids = impressions.raw_item_ids(workspace, dataset)
    known: tuple[str, ...] = ()
    if version in embeddings.names(workspace, dataset):
        known = embeddings.read_manifest(workspace, dataset, version).field_names
    manifest, _ = embeddings.add_version(
        workspace, log, raw_ids, version, source, append_to, allow_low_coverage, notes
    )
    fields = source if isinstance(source, Mapping) else manifest.field_names[:1]
    for field in fields:
        own, reference = manifest.of(field), manifest.reference(field)
        table = embeddings.open_version(workspace, dataset, reference, codes=True)
        covered = embeddings.shares(table.has_vector, log)
        terminal.show_added(own, reference, field not in known, covered)
        if own.unmatched_ids:
            terminal.show_unmatched(own, embeddings.pairs(own.unmatched_examples, raw_ids))


def add_given(
    workspace: Workspace, dataset: str, versions: Sequence[embeddings.GivenVersion]
) -> None:
    """Add the versions that come with a data set; any coverage is accepted, and printed.

    Args:
        workspace: The workspace.
        dataset: The name of the data set.
        versions: The versions and their files.

    Raises:
        ConfigError: A version exists with other content.
        DataError: A file is damaged, or none of its ids is an item.
        StoreError: The workspace cannot be written.
    """
    for given in versions:
        add_version(workspace, dataset, given.name, given.source, None, True, given.notes)
