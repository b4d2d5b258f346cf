"""Find the files of a log: a file, a pattern, or a folder of Spark, Hive or Delta."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from ctrbench.datasets._delta import LOG, current_files, is_delta
from ctrbench.datasets._tables import KINDS
from ctrbench.datasets._text_files import SEPARATORS, kind_of
from ctrbench.datasets._typed_files import JSON
from ctrbench.errors import DataError

MARKS = ("_", ".")  # prefixes of marker files that other programs write
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
EXAMPLES = 5  # files named in a note


@dataclass(frozen=True)
class Part:
    """One file, and the column values that its parent folders encode (`dt=2023-11-14`)."""

    path: Path
    partitions: dict[str, str | None] = field(default_factory=dict)
    shown: str | None = None  # the URL of a remote file, of which `path` is a copy


def find_parts(given: str) -> tuple[list[Part], list[str]]:
    """Return the files that an argument names, in order, and notes on ignored files.

    The notes omit files whose names begin with `_` or `.`, which are markers of other programs.

    Args:
        given: A file, a folder or a pattern.

    Raises:
        DataError: The pattern matches nothing, or the folder holds no file with a known extension.
    """
    path = Path(given)
    if any(letter in given for letter in "*?[") and not path.exists():
        folder = Path(path.anchor) if path.is_absolute() else Path()
        matched = folder.glob(str(path.relative_to(path.anchor)))
        found = sorted(one for one in matched if not one.name.startswith(MARKS))
        if not found:
            raise DataError(f"no file matches {given}. Check the pattern.")
        parts = [part for one in found for part in _parts(one)]
    else:
        parts = list(_parts(path))
    kept = [part for part in parts if kind_of(part.path) in KINDS]
    notes = _delta_notes(path, kept)
    if not path.is_dir() and len(parts) == 1:
        return parts, notes  # a single file: `read_table` checks its extension
    if not kept:
        raise DataError(f"{given} contains no file with extension {', '.join(KINDS)}.")
    spark = [part for part in kept if not part.path.stat().st_size and _is_text(part.path)]
    left = [part.path.name for part in parts if part not in kept] + [s.path.name for s in spark]
    if left:
        more = ", …" if len(left) > EXAMPLES else ""
        notes.append(
            f"{len(left)} file(s) of {given} were ignored because of their extension or because "
            f"they are empty: {', '.join(left[:EXAMPLES])}{more}."
        )
    return [part for part in kept if part not in spark], notes


def _is_text(path: Path) -> bool:
    return kind_of(path) in (*SEPARATORS, *JSON)


def _delta_notes(given: Path, parts: list[Part]) -> list[str]:
    """Return notes on the files of a Delta table that its log removed, or that may be removed."""
    if is_delta(given):
        stored = sum(1 for path in given.rglob("*.parquet") if LOG not in path.parts)
        removed = stored - len(parts)
        note = f"{given} is a Delta table: the {len(parts)} files of its latest version were read"
        if removed:
            return [f"{note}; {removed} other Parquet files, which its log removed, were left out."]
        return [f"{note}."]
    folders = {folder for part in parts for folder in part.path.parents if is_delta(folder)}
    return [tombstones(folder) for folder in sorted(folders)]


def tombstones(table: object) -> str:
    """Return the note on files of a Delta table that were chosen without its log."""
    return (
        f"{table} is a Delta table, whose files may be removed ones (tombstones). Give the folder "
        "itself, so that the log of the table chooses its files."
    )


def _parts(path: Path, partitions: dict[str, str | None] | None = None) -> Iterator[Part]:
    """Yield the files of a path, with the values of their `name=value` folders."""
    if partitions is None:
        partitions = _above(path)
    if not path.is_dir():
        yield Part(path, partitions)
        return
    if is_delta(path):
        for file, values in current_files(path).items():
            yield Part(file, {**partitions, **values})
        return
    inside = sorted(one for one in path.iterdir() if not one.name.startswith(MARKS))
    others = [one for one in inside if one.is_dir() and not all(one.name.partition("="))]
    strange = [one.name for one in others if _holds_data(one)]
    if strange:
        raise DataError(
            f"{path} contains folders ({', '.join(strange[:EXAMPLES])}) whose names are not of the "
            f"form column=value. Give a pattern of files, such as '{path}/*/*.parquet', or repeat "
            "--impressions for each folder."
        )
    for one in inside:
        if one in others:
            continue
        here = _partition(one.name) if one.is_dir() else {}
        yield from _parts(one, {**partitions, **here})


def _above(path: Path) -> dict[str, str | None]:
    """Return the values of the `name=value` folders at the end of a path."""
    found: dict[str, str | None] = {}
    for folder in (path, *path.parents) if path.is_dir() else path.parents:
        if not all(folder.name.partition("=")):
            break
        found = _partition(folder.name) | found
    return found


def _partition(name: str) -> dict[str, str | None]:
    column, _, value = name.partition("=")
    return {unquote(column): None if value == NO_VALUE else unquote(value)}


def _holds_data(folder: Path) -> bool:
    return any(kind_of(one) in KINDS for one in folder.rglob("*"))
