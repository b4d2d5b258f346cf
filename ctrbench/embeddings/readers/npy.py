"""`.npy`: one array of vectors, with the ids in a separate file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ctrbench.embeddings.readers._base import (
    Reader,
    Source,
    VectorBlock,
    array_blocks,
    check_numbers,
)
from ctrbench.embeddings.readers._ids import ids_of
from ctrbench.embeddings.readers._npy import open_npy


class Npy(Reader):
    """Reads a memory-mapped array and an ids file."""

    def blocks(self, source: Source, scratch: Path) -> Iterator[VectorBlock]:
        """See `Reader`."""
        ids = ids_of(source)
        vectors = open_npy(source.vectors)
        check_numbers(vectors.dtype, source.vectors)
        return array_blocks(ids, vectors, vectors.shape, source.vectors)
