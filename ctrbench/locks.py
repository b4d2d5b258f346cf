"""Locks between processes; the system releases a lock when its holder dies."""

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
        path: The lock file. Its folder is created.
        wait: Wait for the current holder; otherwise fail at once.

    Raises:
        filelock.Timeout: Another process holds the lock and `wait` is False.
        StoreError: The folder cannot be written, or the path is not a plain file.
    """
    held = FileLock(path, timeout=-1 if wait else 0)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise StoreError(
                f"the lock {path} is a link or a folder instead of a plain file. Remove it and run "
                "the command again."
            )
        held.acquire()
    try:
        yield
    finally:
        held.release()
