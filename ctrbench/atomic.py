"""Write a file or a folder so that it is there whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ctrbench.errors import StoreError

ABANDONED_S = 24 * 3600  # after a day without a change nobody writes any more
PARTIAL = ".partial-"  # prefix of names still being written; every listing leaves them out


CAUSES = {
    errno.ENOSPC: "no space left on the disk; free some and run the command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the command again",
    errno.EROFS: "the file system is read-only; choose another folder, or another --home",
    errno.EACCES: "permission denied; make it writable or choose another folder, or another --home",
    errno.EPERM: "not permitted; make it writable or choose another folder, or another --home",
    **dict.fromkeys(
        (errno.ENOTDIR, errno.EEXIST),
        "a file stands where a folder is needed; move it or choose another folder",
    ),
    errno.EISDIR: "a folder stands where a file is needed; name a file in it",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "links lead in a circle; remove one of them or choose another name",
    errno.EBUSY: "it is in use by the system; choose another name",
    **dict.fromkeys((errno.EINVAL, errno.EILSEQ), "the system takes no such name; choose another"),
    **dict.fromkeys(
        (errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE),
        "the disk does not answer; check it or choose another folder",
    ),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "too many files are open; lower --jobs"),
}


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal to write into a message a user can act on.

    Raises:
        StoreError: the disk is full, read-only, access is denied, or the path cannot exist.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in CAUSES:
            raise
        raise StoreError(
            f"cannot write {path}: {CAUSES[error.errno]}. Nothing was changed."
        ) from error


@contextmanager
def _parents(path: Path) -> Iterator[None]:
    """Make the folders above `path`; if the block fails, those made here go again unless used."""
    made = [folder for folder in path.parents if not folder.exists()]  # the innermost first
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # /proc says so
            raise StoreError(
                f"cannot write {path}: no folder can be made there; choose another folder."
            ) from error
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):  # not empty: somebody else uses it by now
                folder.rmdir()
        raise


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it into place when the block ends well.

    A link is written through, as by other tools: the file that it leads to is replaced.

    Raises:
        StoreError: the folder cannot be written, or what stands there is no plain file.
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
    """Refuse folders, and devices such as /dev/null, which a rename would replace by a file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"cannot write {path}: it is a device or a pipe; name a plain file.")
    if any(os.path.samestat(found, own) for own in _printed_to()):
        raise StoreError(f"cannot write {path}: this command prints into it; name another file.")


def _printed_to() -> Iterator[os.stat_result]:
    """The files that standard output and error go to; /dev/stdout leads to one of them."""
    for descriptor in (1, 2):
        with suppress(OSError):  # closed
            yield os.fstat(descriptor)


def _temporary(path: Path) -> tuple[int, str]:
    try:
        return tempfile.mkstemp(dir=path.parent, prefix=PARTIAL, suffix=path.suffix)
    except FileNotFoundError as error:  # /proc says so
        raise StoreError(
            f"cannot write {path}: no file can be made in that folder; choose another."
        ) from error


class _TriedError(Exception):
    """Ends a trial, so that nothing is left of it."""


def check_writable(path: Path) -> None:
    """Say before long work what `atomic_file` would say after it; leaves nothing behind.

    Raises:
        StoreError: the folder cannot be written, or what stands there is no plain file.
    """
    with suppress(_TriedError), atomic_file(path):
        raise _TriedError


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


def discard(folder: Path) -> None:
    """Delete a folder: its name is gone at once, even if deleting is cut short.

    Of a link only the link goes; the folder that it leads to stays, wherever it is.

    Raises:
        StoreError: the folder above cannot be written.
    """
    with disk_errors(folder):
        doomed = Path(tempfile.mkdtemp(dir=folder.parent, prefix=PARTIAL))
        folder.rename(doomed / folder.name)
        shutil.rmtree(doomed)


def sweep(folder: Path) -> None:
    """Delete what killed processes left half written below a folder; recent ones may still live.

    Raises:
        StoreError: the folder cannot be written.
    """
    with disk_errors(folder):
        for path in list(folder.rglob(f"{PARTIAL}*")):
            with suppress(FileNotFoundError):
                if time.time() - path.lstat().st_mtime > ABANDONED_S:
                    whole = path.is_dir() and not path.is_symlink()
                    shutil.rmtree(path) if whole else path.unlink()
