"""Reads ids from an ids file, and checks ids that are written as text."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from ctrbench.embeddings.readers._base import NAMED, require_ids
from ctrbench.embeddings.readers._json import ids_of_values
from ctrbench.embeddings.readers._npy import open_npy
from ctrbench.errors import ConfigError, DataError, unknown_name
from ctrbench.printable import counted
from ctrbench.raw_ids import BLANKS, EXAMPLES, as_text
from ctrbench.schema import Source
from ctrbench.separators import separators

HEADERS = {*NAMED, "id", "ids", "item", "items", "itemid", "item_ids", "iid"}  # headers, not ids


def ids_of(source: Source) -> list[str]:
    """Return the ids in the ids file of a source.

    Raises:
        ConfigError: No ids file is given; also see `read_ids`.
        DataError: See `read_ids`.
    """
    return read_ids(require_ids(source), source.ids_column)


def read_ids(path: Path, column: str | None = None) -> list[str]:
    """Return the ids of a `.npy`, `.txt`, `.csv` or `.json` file, in its order.

    Args:
        path: The file.
        column: The column of ids of a table, if given by the user.

    Raises:
        ConfigError: The file has another extension, or is no table although a column is named.
        DataError: The file is damaged or does not contain ids.
    """
    suffix = path.suffix.lower()
    if column is not None and suffix != ".csv":
        raise ConfigError(f"--ids-column requires a table of ids (.csv), not {path}.")
    if suffix == ".npy":
        return as_text(open_npy(path), path)
    if suffix not in (".txt", ".csv", ".json"):
        raise ConfigError(f"{path}: not a file of ids; give a .npy, .txt, .csv or .json file.")
    try:
        if suffix == ".json":
            return _of_json(path)
        if suffix == ".csv":
            return _column(_rows(path, column), path, column)
        # other line separators, such as U+2028, are part of the id
        lines = path.read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
        _refuse_header(lines[0], path, "remove this line")
        return written(lines, path)
    except (UnicodeDecodeError, csv.Error, RecursionError) as error:
        raise DataError(f"{path} is not text with one id per line: {error}.") from error


def _of_json(path: Path) -> list[str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is not complete JSON: {error}. Save or copy it again.") from error
    if not isinstance(found, list):
        raise DataError(
            f"{path} contains {type(found).__name__} instead of a list of ids such as [7, 12]; "
            "save the ids in the order of the vectors."
        )
    return ids_of_values(found, path)


def written(ids: list[str], where: object, padded: bool = False, first: int = 1) -> list[str]:
    """Return ids that are written as text, without a type.

    Args:
        ids: The written ids.
        where: The file, for messages.
        padded: Whether the header of the column begins with a blank, as after the separator ", ";
            if every id does as well, this blank is removed.
        first: The line of the first id.

    Raises:
        DataError: Blanks surround an id, or ids are missing or invalid.
    """
    if padded and all(value.startswith(" ") for value in ids):
        ids = [value[1:] for value in ids]
    wrong = [row for row, value in enumerate(ids) if value != value.strip(BLANKS)]
    if wrong:
        shown = ", ".join(f"line {first + row} ({ids[row]!r})" for row in wrong[:EXAMPLES])
        raise DataError(
            f"{where}: blanks surround {counted(len(wrong), 'id')}, {shown}; remove them, or save "
            "ids that contain blanks as .npy, .npz or .parquet."
        )
    return as_text(ids, where, typed=False)


def _rows(path: Path, named: str | None) -> list[list[str]]:
    """Return the cells of a CSV file; only a header can indicate another separator than commas."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        for separator in separators(first, ","):
            header = next(csv.reader([first], delimiter=separator), [])
            if not {*_wanted(named)}.isdisjoint(name.strip() for name in header):
                return list(csv.reader(file, delimiter=separator))
        return list(csv.reader(file))


def _refuse_header(first: str, path: Path, cure: str) -> None:
    """Check that the first line is not a header, which would count as an id.

    Raises:
        DataError: The first value is the name of a column.
    """
    if first.strip().lower() in HEADERS:
        raise DataError(f"{path}, line 1: {first.strip()!r} is a header, not an id; {cure}.")


def _wanted(named: str | None) -> tuple[str, ...]:
    return NAMED if named is None else (named,)


def _column(rows: list[list[str]], path: Path, named: str | None) -> list[str]:
    """Return the column of ids below its header, or the only column."""
    names = [name.strip() for name in rows[0]] if rows else []
    header = next((name for name in _wanted(named) if name in names), None)
    if named is not None and header is None:
        raise DataError(f"{path}: {unknown_name('column', named, names)}")
    column = names.index(header) if header else 0
    for name in () if header else names:
        _refuse_header(name, path, "name the column by --ids-column, or remove this line")
    for number, row in enumerate(rows, start=1):
        if len(row) != (len(names) if header else 1):
            raise DataError(
                f"{path}, line {number}: {counted(len(row), 'value')}; expected one id per line, "
                "or a column named item_id."
            )
    padded = bool(header) and rows[0][column].startswith(" ")
    below = rows[1:] if header else rows
    return written([row[column] for row in below], path, padded, first=1 + bool(header))
