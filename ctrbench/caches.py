"""Folders below cache/: each is computed once, and again if its files are damaged."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from ctrbench.atomic import atomic_folder, disk_errors, write_json
from ctrbench.errors import StoreError
from ctrbench.locks import lock
from ctrbench.workspace import Workspace

CHECKSUMS = "checksums.json"  # size and checksum of the other files of a folder


def kept(
    workspace: Workspace, folder: Path, make: Callable[[Path], None], checked: bool = True
) -> Path:
    """Return a folder of the cache, made if it is missing or damaged.

    If the cache cannot be written, for example on a read-only disk, the folder is made below the
    temporary folder of the system, for this process.

    Args:
        workspace: The workspace of the cache, which has the locks.
        folder: The folder. Its name is a hash of all that its content depends on.
        make: Writes the files into an empty folder.
        checked: Whether to read the files and compare their checksums.

    Raises:
        StoreError: The folder cannot be made.
    """
    if folder.exists() and (not checked or is_intact(folder)):
        return folder
    try:
        with lock(workspace.cache / "locks" / f"{folder.parent.name}-{folder.name}.lock"):
            if folder.exists() and checked and not is_intact(folder):
                with disk_errors(folder):
                    shutil.rmtree(folder)
            if not folder.exists():
                with atomic_folder(folder) as temporary:
                    make(temporary)
                    if checked:
                        write_json(temporary / CHECKSUMS, _checksums(temporary))
        return folder
    except StoreError:
        temporary = _temporary() / folder.name
        if not temporary.exists():
            with atomic_folder(temporary) as empty:
                make(empty)
        return temporary


@cache
def _temporary() -> Path:
    """Return a folder that is deleted when the process ends."""
    path = tempfile.mkdtemp(prefix="ctrbench-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return Path(path)


def is_intact(folder: Path) -> bool:
    """Return whether the files of a folder are as they were written."""
    try:
        known = json.loads((folder / CHECKSUMS).read_bytes())
        return known == _checksums(folder)
    except (OSError, ValueError):
        return False


def _checksums(folder: Path) -> dict[str, list[int]]:
    """Return size and checksum of each file by name.

    The sum of the 64-bit words detects every change of a single word, and is as fast as memory.
    """
    files = (path for path in sorted(folder.iterdir()) if path.name != CHECKSUMS)
    return {path.name: [path.stat().st_size, _sum(path)] for path in files}


def _sum(path: Path) -> int:
    size = path.stat().st_size
    if not size:
        return 0
    content = np.memmap(path, np.uint8, mode="r")
    words, rest = content[: size - size % 8].view(np.uint64), content[size - size % 8 :]
    return (int(words.sum(dtype=np.uint64)) + int(rest.sum(dtype=np.uint64))) % 2**64
