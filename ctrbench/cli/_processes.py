"""Commands that torchrun starts in several processes, which share the work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import typer


def local_processes() -> int:
    """Return the number of processes that torchrun started on this machine; 1 without torchrun."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


@contextmanager
def processes() -> Iterator[bool]:
    """Join the process group within the block, if torchrun started this process.

    If the work ends because another process ended, only the first process reports it. The others
    exit with code 0, since torchrun stops the first process after any other code.

    Yields:
        Whether this is the first process.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield True
        return
    from ctrbench.distributed import FirstProcessError, LostProcessError, process_group

    first = os.environ.get("RANK") == "0"
    try:
        with process_group(int(os.environ.get("LOCAL_RANK", "0"))):
            yield first
    except (FirstProcessError, LostProcessError) as error:
        if first:
            raise
        raise typer.Exit from error
