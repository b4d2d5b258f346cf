"""The outcome of `ctrbench results` on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from ctrbench.printable import counted
from ctrbench.terminal.output import echo
from ctrbench.upkeep import Merged, Orphan, Verified

MEGABYTE = 1_000_000


def show_verified(found: Verified) -> None:
    """Print whether all results are intact, and each damaged file."""
    count = len(found.problems)
    echo(
        f"All results are intact: {counted(found.cells, 'cell')}."
        if not count
        else f"{counted(count, 'file')} damaged; {counted(found.cells, 'cell')} stored."
    )
    for problem in found.problems:
        echo(f"- {problem}")
    if found.packed:
        echo(f"Cells in packs only: {found.packed:,}.")
    if found.unsealed:
        echo(f"{found.unsealed:,} records have no checksum; an earlier version wrote them.")


def show_merged(found: Merged) -> None:
    """Print what was copied, and each conflict."""
    echo(
        f"Copied {counted(found.copied, 'cell')}; stored here with equal results: {found.equal:,}; "
        f"with other results: {len(found.conflicts):,}."
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
