"""Adds embedding versions from files and prints them."""

from __future__ import annotations

from collections.abc import Sequence

from ctrbench import embeddings, impressions
from ctrbench.terminal import versions as terminal
from ctrbench.workspace import Workspace


def add_version(
    workspace: Workspace,
    dataset: str,
    given: embeddings.GivenVersion,
    append_to: str | None = None,
    allow_low_coverage: bool = False,
) -> None:
    """Add a version from files, and print what was added.

    Args:
        workspace: The workspace.
        dataset: The name of the data set.
        given: The version and its files.
        append_to: A version whose vectors are copied first.
        allow_low_coverage: Whether to accept vectors for less than half of the test impressions.

    Raises:
        ConfigError: See `embeddings.add`.
        DataError: See `embeddings.add`.
        StoreError: See `embeddings.add`.
        UnknownNameError: The data set or the version to append to does not exist.
    """
    log = impressions.open_impressions(workspace, dataset)
    raw_ids = impressions.raw_item_ids(workspace, dataset)
    manifest, new = embeddings.add(
        workspace,
        log,
        raw_ids,
        given.name,
        given.source,
        append_to,
        allow_low_coverage,
        given.notes,
    )
    table = embeddings.open_version(workspace, dataset, manifest.name)
    terminal.show_added(manifest, new, embeddings.shares(table.has_vector, log))
    if manifest.unmatched_ids:
        terminal.show_unmatched(manifest, embeddings.pairs(manifest.unmatched_examples, raw_ids))


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
        add_version(workspace, dataset, given, allow_low_coverage=True)
