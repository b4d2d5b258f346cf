"""Write a file or a folder so that it is there whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ctrbench.errors import StoreError

ABANDONED_S = 24 * 3600  # after a day without a change nobody writes any more
PARTIAL = ".partial-"  # prefix of names still being written; every listing leaves them out


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal to write into a message a user can act on.

    Raises:
        StoreError: the disk is full, read-only, or access is denied.
    """
    causes = {
        errno.ENOSPC: "no space left on the disk; free some and run the command again",
        errno.EDQUOT: "the disk quota is used up; free some space and run the command again",
        errno.EROFS: "the file system is read-only; choose another --home",
        errno.EACCES: "permission denied; make it writable or choose another --home",
        errno.EPERM: "not permitted; make it writable or choose another --home",
        errno.ENOTDIR: "a file stands where a folder is needed; move it or choose another --home",
        errno.EISDIR: "a folder stands where a file is needed; name a file in it",
        errno.EEXIST: "a file stands where a folder is needed; move it or choose another --home",
    }
    try:
        yield
    except OSError as error:
        if error.errno not in causes:
            raise
        raise StoreError(
            f"cannot write {path}: {causes[error.errno]}. Nothing was changed."
        ) from error


@contextmanager
def _parents(path: Path) -> Iterator[None]:
    """Make the folders above `path`; if the block fails, those made here go again unless used."""
    made = [folder for folder in path.parents if not folder.exists()]  # the innermost first
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):  # not empty: somebody else uses it by now
                folder.rmdir()
        raise


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it into place when the block ends well.

    Raises:
        StoreError: the folder cannot be written.
    """
    with disk_errors(path), _parents(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=PARTIAL, suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            _flush(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Say before long work what `atomic_file` would say after it; the folder is made.

    Raises:
        StoreError: the folder cannot be written, or `path` is one.
    """
    with disk_errors(path), _parents(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder")
        try:
            tempfile.TemporaryFile(dir=path.parent).close()
        except FileNotFoundError as error:  # /proc says so
            raise StoreError(f"cannot write {path}: no file can be made in that folder.") from error


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; rename it into place when the block ends well.

    Raises:
        StoreError: the parent cannot be written, or `path` appeared in the meantime.
    """
    with disk_errors(path), _parents(path):
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=PARTIAL))
        try:
            yield temporary
            temporary.chmod(0o755)
            for file in temporary.rglob("*"):
                _flush(file)
            try:
                temporary.rename(path)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                raise StoreError(
                    f"{path} appeared while it was being written; nothing was changed."
                ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically.

    Raises:
        StoreError: the folder cannot be written.
    """
    with atomic_file(path) as temporary:
        temporary.write_text(
            json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
            encoding="utf-8",
        )


def _flush(file: Path) -> None:
    """Have the kernel write the file's bytes to the disk before its name appears."""
    if file.is_file():
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sweep(folder: Path) -> None:
    """Delete what killed processes left half written below a folder; recent ones may still live."""
    for path in list(folder.rglob(f"{PARTIAL}*")):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
