"""`.faiss`, `.index`: a flat index, with its own ids or with an ids file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ctrbench.arrays import table_blocks
from ctrbench.embeddings.readers._base import (
    Reader,
    Source,
    VectorBlock,
    check_count,
    check_shape,
    refuse_ids,
)
from ctrbench.embeddings.readers._ids import ids_of
from ctrbench.errors import DataError
from ctrbench.raw_ids import as_text


class Faiss(Reader):
    """Reads an IndexFlat, alone or in an IndexIDMap; row numbers never count as ids."""

    def blocks(self, source: Source, scratch: Path) -> Iterator[VectorBlock]:
        """See `Reader`."""
        import faiss

        path = source.vectors
        whole = _opened(path)  # owns the memory of the inner index
        has_ids = isinstance(whole, faiss.IndexIDMap)
        index = faiss.downcast_index(whole.index) if has_ids else whole
        if not isinstance(index, faiss.IndexFlat):
            raise DataError(
                f"{path} is a faiss {type(index).__name__}, which is not a flat index. A "
                "compressed index (PQ, SQ) contains approximations of the vectors, and others do "
                "not contain them in order. Add the original vectors, or an IndexFlat of them."
            )
        ids = _own_ids(whole, source) if has_ids else ids_of(source)
        shape = (index.ntotal, index.d)
        check_shape(shape, path)
        check_count(shape[0], len(ids), path)
        for rows in table_blocks(shape):
            vectors = index.reconstruct_n(rows.start, rows.stop - rows.start)
            yield VectorBlock(ids[rows], vectors)


def _own_ids(index: Any, source: Source) -> list[str]:
    import faiss

    refuse_ids(source)
    ids = faiss.vector_to_array(index.id_map)
    return as_text(ids, source.vectors) if len(ids) else []


def _opened(path: Path) -> Any:
    """Return the index of a file; its vectors are memory-mapped where faiss supports it."""
    import faiss

    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY)
    except (RuntimeError, MemoryError) as error:
        reason = str(error).partition("Error: ")[2] or str(error)
        raise DataError(
            f"{path} is not a complete faiss index: {reason[:200]}. Save or copy it again."
        ) from error
