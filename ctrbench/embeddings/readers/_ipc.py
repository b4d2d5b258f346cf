"""Arrow IPC files and streams."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ctrbench.arrays import blocks
from ctrbench.embeddings.readers import _tables
from ctrbench.embeddings.readers._base import Source, VectorBlock
from ctrbench.embeddings.readers._columns import Layout, choose
from ctrbench.embeddings.readers._packed import check_expansion
from ctrbench.errors import DataError
from ctrbench.raw_ids import as_text

ID_BYTES = 4  # of one id, at least
MAGIC, OLD_MAGIC = b"ARROW1", b"FEA1"


class Ipc(_tables.Table):
    """Yields the batches of a memory-mapped file; a first pass reads only the ids."""

    def layout(self, source: Source) -> Layout | None:
        """See `Table`."""
        first = next(_batches(source.vectors), None)
        if first is None:
            return None
        return choose(_tables.columns(first.schema, _tables.first_texts(first)), source)

    def rows(self, source: Source, layout: Layout) -> Iterator[VectorBlock]:
        """See `Table`."""
        import pyarrow as pa

        path = source.vectors
        keys = [batch.column(layout.key) for batch in _batches(path)]
        column = pa.chunked_array(keys)
        _tables.check_texts(column, path)
        ids = as_text(column, f"{path}, column {layout.key}")
        yield from _tables.blocks(_parts(path, layout.values), ids, layout, path)


def _batches(path: Path) -> Iterator[Any]:
    """Yield validated batches with rows; a batch with invalid offsets would crash a reader."""
    rows, size = 0, path.stat().st_size
    for batch in filter(len, _unchecked(path)):
        rows += len(batch)
        check_expansion(ID_BYTES * rows, size, path)
        batch.validate(full=True)
        check_expansion(batch.nbytes, size, path)
        yield batch


def _unchecked(path: Path) -> Iterator[Any]:
    import pyarrow as pa

    with path.open("rb") as file:
        start = file.read(len(MAGIC))
    if start.startswith(OLD_MAGIC):
        raise DataError(f"{path} is a Feather file of version 1; save it as version 2.")
    with pa.memory_map(str(path)) as mapped:
        if start == MAGIC:
            with pa.ipc.open_file(mapped) as file:
                yield from map(file.get_batch, range(file.num_record_batches))
        else:
            with pa.ipc.open_stream(mapped) as stream:
                yield from stream


def _parts(path: Path, values: list[str]) -> Iterator[Any]:
    """Yield the columns of vectors in blocks of rows."""
    for batch in _batches(path):
        for rows in blocks(len(batch), _tables.BATCH_ROWS):
            yield batch.select(values).slice(rows.start, rows.stop - rows.start)
