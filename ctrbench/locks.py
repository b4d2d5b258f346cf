"""Locks between processes; the system releases a lock when its holder dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ctrbench.atomic import NO_LOCKS, disk_errors, held
from ctrbench.errors import StoreError


def check_locks(folder: Path) -> None:
    """Raise the error of `lock` before long work, without leaving a file.

    Args:
        folder: A folder of the workspace, which is created.

    Raises:
        StoreError: The folder cannot be written, or the file system has no locks.
    """
    path = folder / "check.lock"
    with lock(path):
        path.unlink()


@contextmanager
def lock(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold a lock file within the block.

    Args:
        path: The lock file. Its folder is created.
        wait: Wait for the current holder; otherwise fail at once.

    Raises:
        HeldError: Another process holds the lock and `wait` is False.
        StoreError: The folder cannot be written, the path is not a plain file, or the file system
            has no locks.
    """
    with ExitStack() as stack:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink() or (path.exists() and not path.is_file()):
                raise StoreError(
                    f"the lock {path} is a link or a folder instead of a plain file. Remove it and "
                    "run the command again."
                )
            try:
                stack.enter_context(held(path, wait))
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                raise StoreError(
                    f"the file system of {path.parent} has no locks ({error.strerror}), without "
                    "which two processes could train the same cell. Mount it with locks (Lustre: "
                    "option flock; NFS 3: with lockd), or choose another --home."
                ) from error
        yield
