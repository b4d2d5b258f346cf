"""Raw item ids as text, so that 7 and "7" are the same item."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from ctrbench.embeddings.readers._base import NAMED
from ctrbench.embeddings.readers._npy import open_npy
from ctrbench.errors import ConfigError, DataError


def read_ids(path: Path) -> list[str]:
    """The ids of a `.npy`, `.txt` or `.csv` file, in its order.

    Raises:
        ConfigError: the extension is another.
        DataError: the file is damaged or holds something else.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return as_text(open_npy(path), path)
    if suffix not in (".txt", ".csv"):
        raise ConfigError(f"{path}: ids are read from .npy, .txt or .csv files.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if suffix == ".csv":
                return _column(list(csv.reader(file)), path)
            return [line.strip() for line in file.read().rstrip().splitlines()]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not readable text, one id a line: {error}.") from error


def as_text(ids: np.ndarray, where: Path) -> list[str]:
    """(n,) integers or strings as text.

    Raises:
        DataError: of another type or shape, or no UTF-8.
    """
    if ids.ndim != 1 or ids.dtype.kind not in "iuUS":
        raise DataError(
            f"{where}: ids are {ids.dtype} of shape {ids.shape}; expected one list of integers or "
            "strings. Convert them before saving."
        )
    if ids.dtype.kind == "S":
        try:
            ids = np.char.decode(ids, "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{where}: ids are no text in UTF-8: {error}.") from error
    return [str(value) for value in ids.tolist()]


def _column(rows: list[list[str]], path: Path) -> list[str]:
    """The column of ids below its header, or the only column."""
    header = next((name for name in NAMED if rows and name in rows[0]), None)
    column = rows[0].index(header) if header else 0
    for number, row in enumerate(rows, start=1):
        if len(row) != (len(rows[0]) if header else 1):
            raise DataError(
                f"{path}, line {number}: {len(row)} values; expected one id a line, or a column "
                "named item_id."
            )
    return [row[column].strip() for row in rows[1 if header else 0 :]]
