"""Copy remote files (`s3://`, `hdfs://`, `memory://`) into the temporary folder of an import."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from ctrbench.datasets._delta import LOG
from ctrbench.datasets._sources import MARKS, Part, find_parts, tombstones
from ctrbench.datasets._tables import RemotePath
from ctrbench.errors import ConfigError, DataError

LOCAL = "file://"


def find_everywhere(given: str, folder: Path | None) -> tuple[list[Part], list[str]]:
    """Return the files that an argument names, as `find_parts` does; remote ones as local copies.

    An import reads its files several times, so that a copy is faster than remote reads.

    Args:
        given: A file, a folder, a pattern, or a URL of any of them.
        folder: The folder for copies; None: the system's.

    Raises:
        ConfigError: The driver of the remote file system is not installed.
        DataError: Nothing exists there, or a file cannot be read.
    """
    if given.startswith(LOCAL):
        given = given.removeprefix(LOCAL)
    if "://" not in given:
        return find_parts(given)
    parts, notes = [], []
    copies, tables = _copies(given, Path(tempfile.mkdtemp(dir=folder)))
    notes += map(tombstones, tables)
    for local, place in copies:
        found, more = find_parts(str(local))
        parts += [replace(part, shown=f"{place}{_below(part.path, local)}") for part in found]
        notes += [note.replace(str(local), place) for note in more]
    return parts, notes


def _below(path: Path, folder: Path) -> str:
    return "" if path == folder else f"/{path.relative_to(folder)}"


def _copies(url: str, folder: Path) -> tuple[list[tuple[Path, str]], list[str]]:
    """Copy what a URL names.

    Returns:
        Each matched file or folder as its copy and its URL, and the URLs of Delta tables around
        them, whose log did not choose the files.
    """
    import fsspec

    try:
        system, root = fsspec.url_to_fs(url)
    except Exception as error:  # drivers raise errors of their own kinds
        raise ConfigError(
            f"{url} cannot be opened: {_first_line(error)}. The driver of fsspec for this address "
            "must be installed and configured."
        ) from error
    try:
        return _copied(system, root, url, folder)
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"no file matches {url}. Check the address.") from error
    except Exception as error:
        raise DataError(f"{url} cannot be read: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def _copied(
    system: Any, root: str, url: str, folder: Path
) -> tuple[list[tuple[Path, str]], list[str]]:
    found = system.glob(root) if any(letter in root for letter in "*?[") else [root]
    named = [one for one in sorted(found) if not PurePosixPath(one).name.startswith(MARKS)]
    copies = []
    for one in named:
        local = folder / one.lstrip("/")
        for file in system.find(one) if system.isdir(one) else [one]:
            if _holds_rows(PurePosixPath(file).relative_to(one)):
                target = folder / file.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                system.get_file(file, str(target))
        if local.exists():
            copies.append((local, str(RemotePath(system.unstrip_protocol(one)))))
    if not copies:
        raise DataError(f"no file matches {url}. Check the address.")
    above = {str(parent) for one in named for parent in PurePosixPath(one).parents} - {".", "/"}
    tables = [one for one in sorted(above) if system.isdir(f"{one}/{LOG}")]
    return copies, [str(RemotePath(system.unstrip_protocol(one))) for one in tables]


def _holds_rows(path: PurePosixPath) -> bool:
    """Return whether a file is needed: markers of other programs are not, a log of Delta is."""
    return LOG in path.parts or not any(part.startswith(MARKS) for part in path.parts)
