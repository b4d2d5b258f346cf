"""The outcome of `ctrbench results` on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from ctrbench.terminal.output import echo
from ctrbench.upkeep import Merged, Orphan, Verified

MEGABYTE = 1_000_000


def show_verified(found: Verified) -> None:
    """Print whether all results are intact, and each damaged file."""
    count = len(found.problems)
    echo(
        f"All results are intact: {found.cells:,} cells."
        if not count
        else f"{count:,} file{'s' * (count > 1)} damaged; {found.cells:,} cells stored."
    )
    for problem in found.problems:
        echo(f"- {problem}")
    if found.packed:
        echo(f"{found.packed:,} of the cells are in packs only.")
    if found.unsealed:
        echo(f"{found.unsealed:,} records have no checksum; an earlier version wrote them.")


def show_merged(found: Merged) -> None:
    """Print what was copied, and each conflict."""
    echo(
        f"Copied {found.copied:,} cells; {found.equal:,} were stored here with equal results; "
        f"{len(found.conflicts):,} have other results."
    )
    for conflict in found.conflicts:
        echo(f"- kept ours: {conflict}")
    for problem in found.problems:
        echo(f"- not copied: {problem}")


def show_removable(found: Sequence[Orphan]) -> None:
    """Print what can be removed, with its size."""
    _show_orphans(found, "Can be removed:")
    if found:
        echo("`ctrbench results gc --remove` removes them.")


def show_removed(found: Sequence[Orphan]) -> None:
    """Print what was removed, with its size."""
    _show_orphans(found, "Removed")


def _show_orphans(found: Sequence[Orphan], verb: str) -> None:
    if not found:
        echo("Nothing to remove.")
        return
    size = sum(one.size_bytes for one in found) / MEGABYTE
    echo(f"{verb} {len(found):,} file{'s' * (len(found) > 1)} or folders, {size:,.1f} MB.")
    for one in found:
        echo(f"- {one.path} ({one.size_bytes / MEGABYTE:,.1f} MB): {one.why}")
