"""The contract of a reader, and the checks of every file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ctrbench.arrays import release, table_blocks
from ctrbench.errors import ConfigError, DataError, unknown_name
from ctrbench.printable import counted
from ctrbench.schema import Source

SAVE = '`numpy.savez("vectors.npz", key=ids, value=vectors)`'
NO_PICKLE = (
    "pickled data is never loaded, since loading can run arbitrary code. If you trust the file, "
    f"convert it: {SAVE}, with ids as integers or strings and vectors as a float32 array (n, D)."
)
NAMED = "item_id", "key"  # accepted names of the id column
MOST_NUMBERS = 1 << 16  # of a vector
MOST_ID_BYTES = 1 << 14  # of an id
INT8_SCALE = 127
MOST_NAMES = 20  # arrays named in a message
CONVERT = (
    "Convert them to floats before saving; dequantise integers by their own scale: "
    "`(vectors.astype('float32') - zero_point) * scale`."
)


@dataclass(frozen=True)
class VectorBlock:
    """Rows of a file: vectors[i] belongs to the item with the raw id ids[i]."""

    ids: list[str]
    vectors: np.ndarray  # (n, D) float16, float32 or float64; readers may also yield int8
    notes: tuple[str, ...] = ()  # unused or converted parts of the file; equal in all blocks


class Reader(ABC):
    """A reader of files with one extension."""

    has_columns: ClassVar[bool] = False  # whether `Source.column` and `ids_column` are supported
    has_arrays: ClassVar[bool] = False  # whether `Source.key` and `value` are supported
    compressed: ClassVar[bool] = False  # whether `.gz` files are supported

    @abstractmethod
    def blocks(self, source: Source, scratch: Path) -> Iterator[VectorBlock]:
        """Yield all rows of the source in blocks of equal width and dtype.

        Args:
            source: Files that exist and are not empty.
            scratch: An empty folder for unpacked files.

        Raises:
            DataError: The file is damaged, or does not contain vectors with ids.
            ConfigError: An ids file is missing, or is given although the file contains ids.
        """


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; False if it cannot be accessed."""
    try:
        return path.is_dir()
    except OSError:
        return False


def check_file(path: Path) -> None:
    """Check that a file can be read.

    Raises:
        DataError: The file is missing, empty, a folder, a pipe, or not readable.
    """
    if is_folder(path):
        raise DataError(f"{path} is a folder, expected a file; give the path of a file in it.")
    try:
        if not path.exists():
            raise DataError(f"{path}: no such file.")
        if not path.is_file():
            raise DataError(f"{path} is a pipe or a device; save its content to a file first.")
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    if empty:
        raise DataError(f"{path} is empty.")


def array_blocks(
    ids: list[str], vectors: Any, shape: tuple[int, ...], path: Path
) -> Iterator[VectorBlock]:
    """Yield the rows of one array with their ids.

    Args:
        ids: n raw ids.
        vectors: (n, D) numbers that support slicing by rows, such as a memory map.
        shape: The shape of the vectors.
        path: The file, for messages.

    Raises:
        DataError: The shape is invalid, or the number of ids differs.
    """
    check_shape(shape, path)
    check_count(shape[0], len(ids), path)
    for rows in table_blocks(shape):
        yield VectorBlock(ids[rows], vectors[rows])
        release(vectors)


def check_count(vectors: int, ids: int, path: Path) -> None:
    """Check that there is one id per vector.

    Args:
        vectors: The number of vectors.
        ids: The number of ids.
        path: The file, for the message.

    Raises:
        DataError: The numbers differ.
    """
    if vectors != ids:
        raise DataError(
            f"{path}: {counted(vectors, 'vector')} but {counted(ids, 'id')}; give one id per "
            "vector."
        )


def check_shape(shape: tuple[int, ...], where: object) -> None:
    """Check the shape of a table of vectors.

    Args:
        shape: The shape.
        where: The file, for the message.

    Raises:
        DataError: The table does not have two dimensions, or its width is 0 or above
            `MOST_NUMBERS`.
    """
    if len(shape) != 2 or shape[1] == 0:
        raise DataError(f"{where}: vectors have shape {shape}; expected (number, width).")
    check_width(shape[1], where)


def check_width(width: int, where: object) -> None:
    """Check the width of vectors.

    Args:
        width: The numbers per vector.
        where: The file, for the message.

    Raises:
        DataError: A vector has more than `MOST_NUMBERS` numbers.
    """
    if width > MOST_NUMBERS:
        raise DataError(
            f"{where}: a vector has {width:,} numbers, the limit is {MOST_NUMBERS:,}; check that "
            "the table has one row per item."
        )


def check_numbers(dtype: object, where: object) -> None:
    """Check that vectors are float16, float32, float64 or int8.

    Args:
        dtype: The type of the vectors.
        where: The file, for the message.

    Raises:
        DataError: The vectors have another type.
    """
    allowed = {"float16", "float32", "float64", "f2", "f4", "f8", "int8"}
    if str(dtype).strip("<>=") not in allowed:
        raise DataError(
            f"{where}: vectors are of type {dtype}; allowed: float16, float32, float64, and int8 "
            f"(divided by {INT8_SCALE}, or multiplied by --scale). {CONVERT}"
        )


def array_names(found: Sequence[str], source: Source) -> tuple[str | None, str]:
    """Return the names of the arrays of ids (None if in the ids file) and of vectors.

    Args:
        found: The names of all arrays of the file.
        source: The files.

    Raises:
        DataError: A named array is missing. Without names, the file contains neither `key` and
            `value` nor a single array.
        ConfigError: An ids file is missing, or is given although the file contains ids.
    """
    for name in (source.key, source.value):
        if name is not None and name not in found:
            raise DataError(f"{source.vectors}: {unknown_name('array', name, found)}")
    alone = source.value or (found[0] if len(found) == 1 else None)
    if source.ids is not None and source.key is None and alone is not None:
        return None, alone
    key = source.key or _other(found, source.value, "key")
    value = source.value or _other(found, source.key, "value")
    if key is not None and value is not None:
        refuse_ids(source)
        return key, value
    if alone is not None:
        require_ids(source)
    more = f" and {len(found) - MOST_NAMES:,} more" if len(found) > MOST_NAMES else ""
    listed = f"{', '.join(sorted(found)[:MOST_NAMES])}{more}"
    raise DataError(
        f"{source.vectors} contains arrays {listed or '(none)'}; expected 'key' "
        "(ids) and 'value' (vectors), or one array and --ids FILE. Other names are given by --key "
        "and --value."
    )


def _other(found: Sequence[str], named: str | None, usual: str) -> str | None:
    """Return the array of the usual name, or the only one beside a named array."""
    rest = [name for name in found if name != named]
    return usual if usual in rest else rest[0] if named and len(rest) == 1 else None


def require_ids(source: Source) -> Path:
    """Return the ids file.

    Raises:
        ConfigError: No ids file is given.
    """
    if source.ids is None:
        raise ConfigError(
            f"{source.vectors} contains vectors without item ids, and vectors are never joined by "
            "row order; add --ids FILE (.npy, .txt, .csv or .json, one id per vector)."
        )
    return source.ids


def refuse_ids(source: Source) -> None:
    """Check that no ids file is given for a file that contains ids.

    Raises:
        ConfigError: An ids file is given.
    """
    if source.ids is not None:
        raise ConfigError(f"{source.vectors} contains its ids; remove --ids {source.ids}.")


def check_widths(ids: list[str], widths: np.ndarray, width: int, path: Path) -> None:
    """Check that all rows have the width of the first row of the file.

    Args:
        ids: n raw ids.
        widths: (n,) int, numbers per row.
        width: The width of the first row.
        path: The file, for the message.

    Raises:
        DataError: Rows differ in width; names them.
    """
    if width == 0:
        raise DataError(f"{path}: the first vector, of item {ids[0]}, is empty.")
    check_width(width, f"{path}, item {ids[0]}")
    wrong = np.flatnonzero(widths != width)
    if len(wrong):
        listed = ", ".join(
            f"{ids[row]} ({counted(int(widths[row]), 'number')})" for row in wrong[:5]
        )
        raise DataError(
            f"{path}: all vectors must have the same width; the first has {width} numbers, "
            f"others differ ({len(wrong):,} or more): {listed}."
        )
