"""The contract of a reader, and the checks every file passes at the door."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ctrbench import plugins
from ctrbench.embeddings._rows import row_slices
from ctrbench.errors import ConfigError, DataError

PICKLES = {".pkl", ".pickle", ".pt", ".pth", ".joblib"}
NO_PICKLE = (
    "pickled data is never opened, since opening it can run any code. Convert it where you trust "
    'it: `numpy.savez("vectors.npz", key=ids, value=vectors)`, with ids as integers or strings '
    "and vectors as a float32 array (n, D)."
)
PACKAGE = "ctrbench.embeddings.readers"
NAMED = "item_id", "key"  # what the column of ids may be called


@dataclass(frozen=True)
class Block:
    """Some rows of a file: vector i belongs to the item with the raw id ids[i]."""

    ids: list[str]
    vectors: np.ndarray  # (n, D) float16, float32 or float64


@dataclass(frozen=True)
class Source:
    """The files of one embedding version, as the user named them."""

    vectors: Path
    ids: Path | None = None
    column: str | None = None  # of lists, where a table has several


class Reader(ABC):
    """Reads files of one extension."""

    has_columns: ClassVar[bool] = False  # whether a column of vectors can be named

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


def read(source: Source, scratch: Path) -> Iterator[Block]:
    """All rows of the source, by the reader of its extension.

    Raises:
        DataError: a file is missing, empty, damaged, or does not hold vectors with ids.
        ConfigError: no reader has the extension, or the ids file is missing or too much.
    """
    suffix = source.vectors.suffix.lower()
    if suffix in PICKLES:
        raise DataError(f"{source.vectors}: {NO_PICKLE}")
    known = plugins.names(PACKAGE)
    if suffix[1:] not in known:
        endings = ", ".join(f".{name}" for name in known)
        raise ConfigError(f"{source.vectors}: no reader for {suffix!r} files; known: {endings}.")
    for path in filter(None, (source.vectors, source.ids)):
        check_file(path)
    chosen = plugins.load(PACKAGE, suffix[1:], Reader, "reader")
    if source.column is not None and not chosen.has_columns:
        raise ConfigError(f"--column is for .csv and .parquet files, not for {source.vectors}.")
    reader = chosen()  # pyright: ignore[reportAbstractUsage]
    return reader.blocks(source, scratch)


def check_file(path: Path) -> None:
    """Refuse what cannot be opened.

    Raises:
        DataError: the file is missing, empty, a folder, or may not be read.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file.")
    if path.is_dir():
        raise DataError(f"{path} is a folder; name the file in it.")
    try:
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
        vectors: (n, D) floats that can be sliced by rows: a memory map, a stored tensor.
        shape: of the vectors.
        path: the file, for messages.

    Raises:
        DataError: shape or number of rows do not fit.
    """
    if len(shape) != 2 or shape[1] == 0:
        raise DataError(f"{path}: vectors have shape {shape}; expected (number, width).")
    if len(ids) != shape[0]:
        raise DataError(f"{path}: {shape[0]:,} vectors but {len(ids):,} ids; one id a vector.")
    for rows in row_slices(*shape):
        yield Block(ids[rows], vectors[rows])


def check_floats(dtype: object, where: object) -> None:
    """Refuse vectors that are not floating point numbers of 2, 4 or 8 bytes.

    Raises:
        DataError: of another type.
    """
    if str(dtype).strip("<>=") not in {"float16", "float32", "float64", "f2", "f4", "f8"}:
        raise DataError(
            f"{where}: vectors are of type {dtype}; allowed: float16, float32, float64. "
            "Convert them before saving."
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
    wrong = np.flatnonzero(widths != width)
    if len(wrong):
        listed = ", ".join(f"{ids[row]} ({widths[row]} numbers)" for row in wrong[:5])
        raise DataError(
            f"{path}: all vectors must have one width; the first has {width} numbers, "
            f"{len(wrong):,} or more differ: {listed}."
        )
