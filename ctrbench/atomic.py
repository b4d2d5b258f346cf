"""Write files and folders atomically: they exist completely or not at all. Locks of files."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from ctrbench.errors import StoreError

ABANDONED_S = 24 * 3600  # a partial file unchanged for a day has no writer any more
PARTIAL = ".partial-"  # prefix of incomplete files and folders, which every listing excludes
LOCK = ".lock"  # ending of the lock beside a partial folder
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # errors of file systems without locks


CAUSES = {
    errno.ENOSPC: "no space left on the disk; free some and run the command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the command again",
    errno.EFBIG: "the file system, or `ulimit -f`, allows no file of this size; raise the limit",
    errno.EROFS: "the file system is read-only; choose another folder, or another --home",
    errno.EACCES: "permission denied; make it writable or choose another folder, or another --home",
    errno.EPERM: "not permitted; make it writable or choose another folder, or another --home",
    **dict.fromkeys(
        (errno.ENOTDIR, errno.EEXIST),
        "a part of the path is a file instead of a folder; move it or choose another folder",
    ),
    errno.EISDIR: "it is a folder; give the path of a file",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "the symbolic links form a cycle; remove one of them or choose another name",
    errno.EBUSY: "it is in use by the system; choose another name",
    **dict.fromkeys((errno.EINVAL, errno.EILSEQ), "the system rejects the name; choose another"),
    **dict.fromkeys(
        (errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE),
        "the disk does not respond; check it or choose another folder",
    ),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "too many files are open; lower --jobs"),
}


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn errors of the operating system into messages that name a cure.

    Args:
        path: The path that the block writes, for the message.

    Raises:
        StoreError: The disk is full or read-only, access is denied, or the path is invalid.
    """
    try:
        yield
    except Exception as error:
        cause = CAUSES.get(_number(error))
        if cause is None:
            raise
        raise StoreError(f"cannot write {path}: {cause}. Nothing was changed.") from error


def _number(error: Exception) -> int:
    """Return the number of an error of the system; -1 for other errors.

    safetensors, which is written in Rust, states the number in the text.
    """
    if isinstance(error, OSError):
        return error.errno or -1
    stated = re.search(r"\(os error (\d+)\)", str(error))
    return int(stated[1]) if stated else -1


@contextmanager
def _parents(path: Path) -> Iterator[None]:
    """Create the parent folders of `path`; remove the new empty ones if the block fails."""
    made = [folder for folder in path.parents if not folder.exists()]  # the innermost first
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # raised below /proc
            raise StoreError(
                f"cannot write {path}: no folder can be created there; choose another folder."
            ) from error
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):  # not empty: another process uses it
                folder.rmdir()
        raise


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` if the block succeeds.

    If `path` is a symbolic link, its target is replaced. The lock of the temporary file is held
    within the block. If the process is killed, the system releases the lock, and `sweep` deletes
    the file. The block writes into the file and does not replace it.

    Raises:
        StoreError: The folder cannot be written, or `path` exists and is not a plain file.
    """
    with disk_errors(path):
        _require_plain(path)
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f"{PARTIAL}{uuid4().hex[:12]}{target.suffix}")
    with disk_errors(path), _parents(target), ExitStack() as stack:
        _hold(stack, temporary)
        try:
            yield temporary
            temporary.chmod(0o644)
            _flush(temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def _require_plain(path: Path) -> None:
    """Raise an error for folders and devices: a rename would replace /dev/null by a file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"cannot write {path}: it is a device or a pipe; give a plain file.")
    if any(os.path.samestat(found, own) for own in _printed_to()):
        raise StoreError(f"cannot write {path}: this command prints into it; give another file.")


def _printed_to() -> Iterator[os.stat_result]:
    """Yield the files of standard output and error, to which /dev/stdout may lead."""
    for descriptor in (1, 2):
        with suppress(OSError):  # closed
            yield os.fstat(descriptor)


def _hold(stack: ExitStack, path: Path, wait: bool = True) -> bool:
    """Create a file and hold its lock until the stack ends; return False without locks.

    Without locks, `sweep` judges by the age.

    Args:
        stack: Releases the lock.
        path: The file.
        wait: Wait for the current holder; otherwise fail at once.

    Raises:
        HeldError: Another process holds the lock and `wait` is False.
        StoreError: No file can be created in the folder, which exists.
        OSError: The file cannot be created for another reason.
    """
    try:
        stack.enter_context(held(path, wait))
    except FileNotFoundError as error:  # raised below /proc
        raise StoreError(
            f"cannot write in {path.parent}: no file can be created there; choose another folder."
        ) from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return False
    return True


class _TriedError(Exception):
    """Aborts a trial write."""


def check_writable(path: Path) -> None:
    """Raise the error of `atomic_file` before long work, without leaving a file.

    Raises:
        StoreError: The folder cannot be written, or `path` exists and is not a plain file.
    """
    with suppress(_TriedError), atomic_file(path):
        raise _TriedError


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, and rename it to `path` if the block succeeds.

    Raises:
        StoreError: The parent folder cannot be written, or `path` was created in the meantime.
    """
    with disk_errors(path), _parents(path), partial_folder(path.parent) as temporary:
        yield temporary
        _publish(temporary, path)


@contextmanager
def partial_folder(parent: Path) -> Iterator[Path]:
    """Yield a temporary folder, which is deleted after the block unless the block renames it.

    A lock file beside it is held within the block. If the process is killed, the system releases
    the lock, and `sweep` deletes the folder.

    Raises:
        StoreError: No file can be created in `parent`.
        OSError: The folder cannot be created for another reason.
    """
    folder = parent / f"{PARTIAL}{uuid4().hex[:12]}"
    owner = folder.with_name(folder.name + LOCK)
    with ExitStack() as stack:
        stack.callback(owner.unlink, missing_ok=True)
        if not _hold(stack, owner):
            owner.unlink(missing_ok=True)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def move_folder(finished: Path, path: Path) -> None:
    """Rename a finished folder into place, after its bytes are on the disk.

    Args:
        finished: A folder on the same file system.
        path: Its new name; missing folders above it are created.

    Raises:
        StoreError: The parent cannot be written, or `path` exists already.
    """
    with disk_errors(path), _parents(path):
        _publish(finished, path)


def _publish(finished: Path, path: Path) -> None:
    finished.chmod(0o755)
    for file in finished.rglob("*"):
        _flush(file)
    try:
        finished.rename(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise StoreError(
            f"another process created {path} at the same time; nothing was changed. Run the "
            "command again."
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically.

    Args:
        path: The file.
        value: A JSON value without NaN.

    Raises:
        StoreError: The folder cannot be written.
    """
    with atomic_file(path) as temporary:
        temporary.write_text(
            json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
            encoding="utf-8",
        )


def _flush(file: Path) -> None:
    """Write the file's bytes to the disk before its final name exists."""
    if file.is_file():
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def discard(folder: Path) -> None:
    """Delete a folder. Its name disappears first, even if the deletion is interrupted.

    If `folder` is a symbolic link, only the link is deleted.

    Raises:
        StoreError: The parent folder cannot be written.
    """
    with disk_errors(folder), partial_folder(folder.parent) as doomed:
        folder.rename(doomed / folder.name)


def sweep(*folders: Path) -> None:
    """Delete partial files and folders that killed processes left below some folders.

    What this process may not delete remains.
    """
    for folder in folders:
        for path in list(abandoned(folder)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
                continue
            with suppress(OSError, StoreError, HeldError), ExitStack() as stack:
                if not path.is_symlink():
                    _hold(stack, path, wait=False)  # its process may hold it since a moment ago
                path.unlink()


def abandoned(folder: Path, idle_s: float = ABANDONED_S) -> Iterator[Path]:
    """Yield partial files and folders below a folder whose process is dead.

    A partial file is abandoned if nobody holds its lock, and a partial folder if nobody holds the
    lock beside it, whichever host the process runs on. Without locks, what was not written for some
    time is abandoned.

    Args:
        folder: The folder, which may not exist.
        idle_s: The time in seconds.
    """
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root, name)
            if name.startswith(PARTIAL) and _is_abandoned(path, idle_s):
                yield path
        folders[:] = [name for name in folders if not name.startswith(PARTIAL)]


def _is_abandoned(path: Path, idle_s: float) -> bool:
    is_folder = path.is_dir() and not path.is_symlink()
    owner = path.with_name(path.name + LOCK) if is_folder else path
    try:
        if owner.is_file() and not owner.is_symlink():
            return not is_held(owner)
    except OSError as error:
        if error.errno not in NO_LOCKS:  # renamed meanwhile, or belongs to another user
            return False
    try:
        inner = path.rglob("*") if is_folder else ()
        written = max(one.lstat().st_mtime for one in (path, *inner))
    except OSError:  # as above
        return False
    return time.time() - written > idle_s


class HeldError(Exception):
    """Another process holds a lock."""


@contextmanager
def held(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a file within the block; the system releases it when the process dies.

    The lock is that of `flock`. NFS makes it a lock of the server, which other hosts respect.

    Args:
        path: The file, which is created. It may be deleted while the lock is held.
        wait: Wait for the current holder; otherwise fail at once.

    Raises:
        HeldError: Another process holds the lock and `wait` is False.
        OSError: The file cannot be opened, or its file system has no locks (`NO_LOCKS`).
    """
    descriptor = -1
    while descriptor < 0:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            os.close(descriptor)
            raise HeldError(path) from error
        except BaseException:
            os.close(descriptor)
            raise
        if not os.fstat(descriptor).st_nlink:  # deleted by its last holder: it guards no path
            os.close(descriptor)
            descriptor = -1
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # also for children that inherited the descriptor
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock of an existing file.

    Raises:
        OSError: The file does not exist or cannot be opened, or its file system has no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)  # releases the lock
    return False
