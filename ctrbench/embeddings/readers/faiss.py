"""`.faiss`, `.index`: a flat index, with its own ids or with an ids file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from ctrbench.embeddings.readers._base import (
    Reader,
    Source,
    VectorBlock,
    array_blocks,
    check_shape,
    refuse_ids,
)
from ctrbench.embeddings.readers._ids import ids_of
from ctrbench.errors import DataError
from ctrbench.raw_ids import as_text

FLAT = b"IxFI", b"IxF2", b"IxFl"  # inner product, L2, other metrics
WITH_IDS = b"IxMp", b"IxM2"
HEADER = struct.Struct("<4siqqq?i")  # kind, width, number, two unused, trained, metric
LAST_PLAIN_METRIC = 1  # a number follows the header of other metrics
SIZE = struct.Struct("<Q")


class Faiss(Reader):
    """Maps an IndexFlat, alone or in an IndexIDMap; row numbers never count as ids.

    faiss itself does not read the file: it can crash on damaged ones, and an index of another kind
    may name further files.
    """

    def blocks(self, source: Source, scratch: Path) -> Iterator[VectorBlock]:
        """See `Reader`."""
        path = source.vectors
        try:
            index = _index(path)
        except (struct.error, ValueError) as error:
            raise DataError(
                f"{path} is not a complete faiss index: {error}. Save or copy it again."
            ) from error
        if index.ids is None:
            ids = ids_of(source)
        else:
            refuse_ids(source)
            ids = as_text(index.ids, path) if len(index.ids) else []
        yield from array_blocks(ids, index.vectors, index.vectors.shape, path)


@dataclass(frozen=True)
class _Index:
    """The content of a file."""

    vectors: np.ndarray  # (n, D) float32, a memory map
    ids: np.ndarray | None  # (n,) int64


def _index(path: Path) -> _Index:
    """Return the vectors of a flat index and its ids.

    Raises:
        DataError: The index is not flat, or its shape is invalid.
        ValueError: The file is shorter than its sizes.
        struct.error: The file is shorter than its header.
    """
    with path.open("rb") as file:
        kind, width, number = _header(file)
        has_ids = kind in WITH_IDS
        if has_ids:
            kind, width, number = _header(file)
        if kind not in FLAT:
            raise DataError(
                f"{path} is a faiss index of the kind {kind.decode('latin-1')!r}, which is not a "
                "flat index. A compressed index (PQ, SQ) contains approximations of the vectors, "
                "and others do not contain them in order. Add the original vectors, or an "
                "IndexFlat of them."
            )
        check_shape((number, width), path)
        vectors = _map(file, "<f4", (number, width))
        ids = _map(file, "<i8", (number,)) if has_ids else None
    return _Index(vectors, ids)


def _header(file: IO[bytes]) -> tuple[bytes, int, int]:
    """Return the kind of an index, its width and its number of vectors."""
    kind, width, number, *_, metric = HEADER.unpack(file.read(HEADER.size))
    if metric > LAST_PLAIN_METRIC:
        file.seek(4, 1)
    return kind, width, number


def _map(file: IO[bytes], dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Map an array, which its number of values precedes, and move to its end."""
    (size,) = SIZE.unpack(file.read(SIZE.size))
    if min(shape) < 0 or size != np.prod(shape, dtype=object):
        raise ValueError(f"{size:,} numbers instead of shape {shape}")
    if not size:
        return np.empty(shape, dtype)
    start = file.tell()
    found = np.memmap(file, dtype, "r", start, shape)  # an error if the file is too short
    file.seek(start + found.nbytes)
    return found
