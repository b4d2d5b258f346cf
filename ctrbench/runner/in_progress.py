"""The cells that run at this moment: each has a lock and a small file of progress."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ctrbench.atomic import HeldError
from ctrbench.errors import StoreError
from ctrbench.locks import lock
from ctrbench.schema import Cell
from ctrbench.workspace import Workspace

INTERVAL_S = 1.0  # at least, between two writes of a file of progress


@dataclass(frozen=True)
class RunningCell:
    """A cell that a process trains at this moment."""

    hash: str
    label: str
    share: float  # completed share of its work, in [0, 1]
    elapsed_s: float


def cell_lock(workspace: Workspace, cell: Cell, wait: bool = False) -> AbstractContextManager[None]:
    """Return the lock that a process holds while it trains a cell or changes its record.

    Args:
        workspace: The workspace whose cache holds the lock file.
        cell: The cell to lock.
        wait: Wait for the current holder instead of failing at once.

    Raises:
        HeldError: Another process holds the lock and `wait` is False.
        StoreError: The workspace cannot be written.
    """
    return lock(_path(workspace, cell, "lock"), wait)


@contextmanager
def published(
    workspace: Workspace, cell: Cell, progress: Callable[[float], None]
) -> Iterator[Callable[[float], None]]:
    """Publish the progress of a cell in a file within the block, for `running_cells`.

    Args:
        workspace: The workspace whose cache holds the file.
        cell: The cell, whose lock the caller holds.
        progress: Receives the completed share as well.

    Yields:
        The function that receives the completed share.
    """
    path = _path(workspace, cell, "progress")
    started, written = time.time(), 0.0

    def publish(share: float) -> None:
        nonlocal written
        progress(share)
        if time.monotonic() - written >= INTERVAL_S:
            written = time.monotonic()
            with suppress(OSError):  # training matters more than its display
                path.write_text(json.dumps({"share": share, "started": started}), encoding="ascii")

    publish(0.0)
    try:
        yield publish
    finally:
        with suppress(OSError):
            path.unlink()


def running_cells(workspace: Workspace, cells: Iterable[Cell]) -> tuple[RunningCell, ...]:
    """Return the cells that some process trains at this moment, in the given order.

    Args:
        workspace: The workspace that the other processes use.
        cells: The cells to look up.
    """
    found = []
    for cell in cells:
        try:
            stored = json.loads(_path(workspace, cell, "progress").read_text(encoding="ascii"))
        except (OSError, ValueError):  # no such file, or it is being written
            continue
        if _is_held(workspace, cell):  # else its process was killed
            elapsed = max(time.time() - stored["started"], 0.0)
            found.append(RunningCell(cell.hash, cell.label, stored["share"], elapsed))
    return tuple(found)


def _is_held(workspace: Workspace, cell: Cell) -> bool:
    try:
        with cell_lock(workspace, cell):
            return False
    except HeldError:
        return True
    except StoreError:  # a copy without write permission, in which nothing can run
        return False


def _path(workspace: Workspace, cell: Cell, kind: str) -> Path:
    return workspace.cache / "locks" / f"cell-{cell.hash}.{kind}"
