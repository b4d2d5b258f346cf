"""The training trace of a stored cell, with summaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ctrbench.display import Displayed
from ctrbench.errors import ConfigError
from ctrbench.schema import CellRecord, Trace
from ctrbench.store import Store
from ctrbench.workspace import Workspace

SHORTEST = 4  # characters of a hash
IMAGE, IDS = "image", "ids"  # names of blocks in a trace


@dataclass(frozen=True)
class Explained(Displayed, view="traces.show"):
    """The trace of a cell with summaries."""

    hash: str
    label: str  # display name of the cell
    trace: Trace
    image_gradient: tuple[float, float] | None  # that of the ids = 1, at the first and last point
    half_way: Mapping[str, float]  # block -> share of the epoch, see `half_way`


def explained(workspace: Workspace, wanted: str) -> Explained:
    """Return the trace of a cell with summaries.

    Args:
        workspace: The workspace that holds the results.
        wanted: The first characters of a hash, or DATASET/VERSION/MODE, optionally with /SEED.

    Raises:
        ConfigError: No cell or several cells match, or the cell was trained without a trace.
    """
    record = _found(workspace, wanted)
    trace = Store(workspace).read_trace(record.cell)
    if trace is None:
        raise ConfigError(
            f"cell {record.hash} ({record.cell.label}) was trained without a trace; "
            "`ctrbench run FILE --trace` trains it again, with the same result."
        )
    return Explained(record.hash, record.cell.label, trace, _image_gradient(trace), half_way(trace))


def half_way(trace: Trace) -> dict[str, float]:
    """Return the share of the epoch after which each block has moved half of its distance.

    The distance is the sum of the L2 distances between consecutive points of the trace.
    """
    found: dict[str, float] = {}
    for part in trace.points[0].blocks:
        moved, total = 0.0, sum(point.blocks[part].update for point in trace.points)
        for number, point in enumerate(trace.points, start=1):
            moved += point.blocks[part].update
            if moved >= total / 2:
                found[part] = number / len(trace.points)
                break
    return found


def _image_gradient(trace: Trace) -> tuple[float, float] | None:
    first, last = trace.points[0], trace.points[-1]
    if IMAGE not in last.blocks or not all(p.blocks[IDS].gradient for p in (first, last)):
        return None
    one, two = (
        point.blocks[IMAGE].gradient / point.blocks[IDS].gradient for point in (first, last)
    )
    return one, two


def _found(workspace: Workspace, wanted: str) -> CellRecord:
    """Return the only finished cell that matches a hash or a path."""
    store, parts = Store(workspace), wanted.split("/")
    if len(parts) == 1 and len(wanted) < SHORTEST:
        raise ConfigError(
            f"{wanted!r} is too short for a hash: give at least {SHORTEST} characters."
        )
    folders = [path.name for path in sorted(workspace.results.glob("*")) if path.is_dir()]
    found = [
        record
        for dataset in folders
        for record in store.records(dataset)
        if record.status == "done" and _matches(record, parts)
    ]
    if len(parts) == 3:  # without a seed: the first seed
        first = min((record.cell.seed for record in found), default=0)
        found = [record for record in found if record.cell.seed == first]
    traced = [record for record in found if store.read_trace(record.cell) is not None]
    found = traced or found
    if len(found) == 1:
        return found[0]
    labels = "; ".join(f"{record.hash} is {record.cell.label}" for record in found[:5])
    raise ConfigError(
        f"{len(found)} finished cells match {wanted!r}{f': {labels}' if labels else ''}. Give a "
        "hash, or DATASET/VERSION/MODE, optionally with /SEED."
    )


def _matches(record: CellRecord, parts: list[str]) -> bool:
    if len(parts) == 1:
        return record.hash.startswith(parts[0])
    cell = record.cell
    own = [cell.dataset, cell.version_label, cell.mode, str(cell.seed)]
    return own[: len(parts)] == parts and not cell.repeat
