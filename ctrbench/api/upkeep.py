"""Stored results verified, merged from other workspaces, and freed of orphans."""

from __future__ import annotations

from collections.abc import Sequence

from ctrbench import upkeep
from ctrbench.api.inputs import Home, opened
from ctrbench.display import Listing
from ctrbench.upkeep import Merged, Orphan, Verified


def verify_results(*, workspace: Home = ".") -> Verified:
    """Read every stored result and compare its checksums.

    Args:
        workspace: The workspace, or its folder.
    """
    return upkeep.verify(opened(workspace))


def merge_results(sources: Sequence[Home], *, workspace: Home = ".") -> Merged:
    """Copy the cells that only other workspaces have. Nothing stored is replaced.

    Args:
        sources: The other workspaces, or their folders.
        workspace: The workspace that receives the cells, or its folder.

    Raises:
        ConfigError: A source has no results.
        StoreError: The results cannot be written.
    """
    return upkeep.merge(opened(workspace), [opened(source) for source in sources])


def orphans(*, remove: bool = False, workspace: Home = ".") -> Listing[Orphan]:
    """Return what no result needs: files without a record, interrupted writes, unused caches.

    Args:
        remove: Whether to remove what is returned.
        workspace: The workspace, or its folder.

    Raises:
        StoreError: Something cannot be removed.
    """
    found = upkeep.orphans(opened(workspace))
    if remove:
        upkeep.remove_orphans(found)
    return Listing(found, "upkeep.show_removed" if remove else "upkeep.show_removable")
