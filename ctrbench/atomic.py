"""Write files and folders atomically: they exist completely or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ctrbench.errors import StoreError

ABANDONED_S = 24 * 3600  # a partial file unchanged for a day has no writer any more
PARTIAL = ".partial-"  # prefix of incomplete files and folders, which every listing excludes


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

    If `path` is a symbolic link, its target is replaced.

    Raises:
        StoreError: The folder cannot be written, or `path` exists and is not a plain file.
    """
    with disk_errors(path):
        _require_plain(path)
    target = Path(os.path.realpath(path))
    with disk_errors(path), _parents(target):
        handle, name = _temporary(target)
        os.close(handle)
        temporary = Path(name)
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


def _temporary(path: Path) -> tuple[int, str]:
    try:
        return tempfile.mkstemp(dir=path.parent, prefix=PARTIAL, suffix=path.suffix)
    except FileNotFoundError as error:  # raised below /proc
        raise StoreError(
            f"cannot write {path}: no file can be created in that folder; choose another."
        ) from error


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
    with disk_errors(path), _parents(path):
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=PARTIAL))
        try:
            yield temporary
            _publish(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


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
    with disk_errors(folder):
        doomed = Path(tempfile.mkdtemp(dir=folder.parent, prefix=PARTIAL))
        folder.rename(doomed / folder.name)
        shutil.rmtree(doomed)


def sweep(folder: Path) -> None:
    """Delete abandoned partial files below a folder. Recent ones may still have a writer.

    Raises:
        StoreError: The folder cannot be written.
    """
    with disk_errors(folder):
        for path in list(folder.rglob(f"{PARTIAL}*")):
            with suppress(FileNotFoundError):
                if time.time() - path.lstat().st_mtime > ABANDONED_S:
                    whole = path.is_dir() and not path.is_symlink()
                    shutil.rmtree(path) if whole else path.unlink()
