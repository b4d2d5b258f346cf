"""One cell over several processes that torchrun started.

The first process runs the cell as a single one does: it holds the lock, measures and stores. Where
a part of the work can be shared, it calls the others, which only help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ctrbench.errors import ContractError, DivergedError
from ctrbench.schema import Cell
from ctrbench.workspace import Workspace

SharedWork = Callable[[Workspace, Cell], Any]


@contextmanager
def helped(work: SharedWork, cell: Cell) -> Iterator[None]:
    """Call the other processes to a function that consists of this block, in the first process.

    An error that not all processes raise ends the group, so that none waits for this one. The first
    process can still store its failure.

    Args:
        work: The function, defined in a module.
        cell: Its argument.

    Raises:
        ContractError: A mode or backbone breaks its contract, in all processes.
        DivergedError: The training diverged, in all processes.
        FirstProcessError: The first process could not begin.
        LostProcessError: Another process ended.
    """
    from ctrbench.distributed import FirstProcessError, Processes, leave

    across = Processes()
    if across.rank == 0:
        across.from_first((work, cell.model_dump_json()))
    try:
        yield
    except (ContractError, DivergedError, FirstProcessError):  # no process waits for another
        raise
    except BaseException:
        leave()
        raise


def help_first(workspace: Workspace) -> None:
    """Help the first process until it needs no more help.

    Args:
        workspace: The workspace of the first process.

    Raises:
        LostProcessError: Another process ended.
    """
    from ctrbench.distributed import FirstProcessError, Processes

    nothing: Any = None
    while (call := Processes().from_first(nothing)) is not None:
        work, cell = call
        with suppress(ContractError, DivergedError, FirstProcessError):  # the first one reports it
            work(workspace, Cell.model_validate_json(cell))


@contextmanager
def helpers() -> Iterator[None]:
    """Dismiss the other processes at the end of the block."""
    from ctrbench.distributed import LostProcessError, Processes

    try:
        yield
    finally:
        with suppress(LostProcessError):  # they need no dismissal
            Processes().from_first(None)
