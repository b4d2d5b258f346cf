"""The contract of a reader, and the checks every file passes at the door."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ctrbench.arrays import table_blocks
from ctrbench.errors import ConfigError, DataError

SAVE = '`numpy.savez("vectors.npz", key=ids, value=vectors)`'
NO_PICKLE = (
    "pickled data is never opened, since opening it can run any code. Convert it where you trust "
    f"it: {SAVE}, with ids as integers or strings and vectors as a float32 array (n, D)."
)
NAMED = "item_id", "key"  # what the column of ids may be called
MOST_NUMBERS = 1 << 16  # of a vector
INT8_SCALE = 127
CONVERT = (
    "Convert them before saving; integers that were quantised to floats, by their own scale: "
    "`(vectors.astype('float32') - zero_point) * scale`."
)


@dataclass(frozen=True)
class Block:
    """Some rows of a file: vector i belongs to the item with the raw id ids[i]."""

    ids: list[str]
    vectors: np.ndarray  # (n, D) float16, float32 or float64; of a reader also int8
    notes: tuple[str, ...] = ()  # what of the file was not taken as it stands; as in every block


@dataclass(frozen=True)
class Source:
    """The files of one embedding version, as the user named them."""

    vectors: Path
    ids: Path | None = None
    column: str | None = None  # of lists, where a table has several


class Reader(ABC):
    """Reads files of one extension."""

    has_columns: ClassVar[bool] = False  # whether a column of vectors can be named
    compressed: ClassVar[bool] = False  # whether its files may be compressed, and end in `.gz`

    @abstractmethod
    def blocks(self, source: Source, scratch: Path) -> Iterator[Block]:
        """All rows of the source, a block at a time, all of one width and type.

        Args:
            source: files that exist and are not empty.
            scratch: an empty folder for what must be unpacked.

        Raises:
            DataError: the file is damaged, or does not hold vectors with ids.
            ConfigError: an ids file is missing, or is given where the file names its ids itself.
        """


def is_folder(path: Path) -> bool:
    """Whether it is a folder; not: what cannot be reached."""
    try:
        return path.is_dir()
    except OSError:
        return False


def check_file(path: Path) -> None:
    """Refuse what cannot be opened.

    Raises:
        DataError: the file is missing, empty, a folder, a pipe, or may not be read.
    """
    if is_folder(path):
        raise DataError(f"{path} is a folder where a file is expected; name the file in it.")
    try:
        if not path.exists():
            raise DataError(f"{path}: no such file.")
        if not path.is_file():
            raise DataError(f"{path} is a pipe or a device; save its content as a file first.")
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    if empty:
        raise DataError(f"{path} is empty.")


def array_blocks(
    ids: list[str], vectors: Any, shape: tuple[int, ...], path: Path
) -> Iterator[Block]:
    """The rows of one array beside their ids.

    Args:
        ids: n raw ids.
        vectors: (n, D) numbers that can be sliced by rows: a memory map, a stored tensor.
        shape: of the vectors.
        path: the file, for messages.

    Raises:
        DataError: shape or number of rows do not fit.
    """
    check_shape(shape, path)
    check_count(shape[0], len(ids), path)
    for rows in table_blocks(shape):
        yield Block(ids[rows], vectors[rows])


def check_count(vectors: int, ids: int, path: Path) -> None:
    """Refuse another number of ids than of vectors.

    Raises:
        DataError: it is so.
    """
    if vectors != ids:
        raise DataError(f"{path}: {vectors:,} vectors but {ids:,} ids; one id a vector.")


def check_shape(shape: tuple[int, ...], where: object) -> None:
    """Refuse what is no table of vectors.

    Raises:
        DataError: other than two dimensions, or a width of 0 or beyond reason.
    """
    if len(shape) != 2 or shape[1] == 0:
        raise DataError(f"{where}: vectors have shape {shape}; expected (number, width).")
    check_width(shape[1], where)


def check_width(width: int, where: object) -> None:
    """Refuse vectors of a width beyond reason.

    Raises:
        DataError: a vector has more than `MOST_NUMBERS` numbers.
    """
    if width > MOST_NUMBERS:
        raise DataError(
            f"{where}: a vector has {width:,} numbers, at most {MOST_NUMBERS:,} are read; is the "
            "whole table one row?"
        )


def check_numbers(dtype: object, where: object) -> None:
    """Refuse vectors that are not floating point numbers of 2, 4 or 8 bytes, or int8.

    Raises:
        DataError: of another type.
    """
    allowed = {"float16", "float32", "float64", "f2", "f4", "f8", "int8"}
    if str(dtype).strip("<>=") not in allowed:
        raise DataError(
            f"{where}: vectors are of type {dtype}; allowed: float16, float32, float64, and int8 "
            f"(divided by {INT8_SCALE}). {CONVERT}"
        )


def array_names(found: Sequence[str], source: Source) -> tuple[str | None, str]:
    """Which arrays of a file hold the ids and the vectors; no ids: they are in the ids file.

    Raises:
        DataError: neither `key` and `value`, nor one array.
        ConfigError: an ids file is missing, or is given where the file names its ids itself.
    """
    if {"key", "value"} <= set(found):
        refuse_ids(source)
        return "key", "value"
    if len(found) == 1:
        require_ids(source)
        return None, found[0]
    raise DataError(
        f"{source.vectors} holds arrays {', '.join(sorted(found)) or '(none)'}; expected 'key' "
        "(ids) and 'value' (vectors), or one array and --ids FILE."
    )


def require_ids(source: Source) -> Path:
    """The ids file.

    Raises:
        ConfigError: there is none.
    """
    if source.ids is None:
        raise ConfigError(
            f"{source.vectors} holds vectors without item ids, and vectors are never joined by "
            "row order; name their ids with --ids FILE (.npy, .txt or .csv, one id a vector)."
        )
    return source.ids


def refuse_ids(source: Source) -> None:
    """Two sources of ids would have to be believed at once.

    Raises:
        ConfigError: an ids file is given.
    """
    if source.ids is not None:
        raise ConfigError(f"{source.vectors} names its ids itself; leave out --ids {source.ids}.")


def check_widths(ids: list[str], widths: np.ndarray, width: int, path: Path) -> None:
    """Refuse rows of another width than the first row of the file.

    Args:
        ids: n raw ids.
        widths: (n,) numbers per row.
        width: of the first row.
        path: the file, for the message.

    Raises:
        DataError: some rows differ; says which.
    """
    if width == 0:
        raise DataError(f"{path}: the first vector, of item {ids[0]}, is empty.")
    check_width(width, f"{path}, item {ids[0]}")
    wrong = np.flatnonzero(widths != width)
    if len(wrong):
        listed = ", ".join(f"{ids[row]} ({widths[row]} numbers)" for row in wrong[:5])
        raise DataError(
            f"{path}: all vectors must have one width; the first has {width} numbers, "
            f"{len(wrong):,} or more differ: {listed}."
        )
