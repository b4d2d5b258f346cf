"""Locks between processes; the system frees one when its holder dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from ctrbench.atomic import disk_errors
from ctrbench.errors import StoreError


@contextmanager
def lock(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold a lock file within the block.

    Args:
        path: of the lock file; its folder is made.
        wait: for whoever holds it now; otherwise give up at once.

    Raises:
        filelock.Timeout: somebody holds it and `wait` is False.
        StoreError: the folder cannot be written, or what stands there is no plain file.
    """
    held = FileLock(path, timeout=-1 if wait else 0)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise StoreError(
                f"the lock {path} is a link or a folder, where ctrbench makes a plain file: "
                "remove it and run the command again."
            )
        held.acquire()
    try:
        yield
    finally:
        held.release()
