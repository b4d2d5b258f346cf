"""`.parquet`: a column of ids, and one column of lists or one column per dimension."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ctrbench.arrays import rows_within
from ctrbench.embeddings.readers import _tables
from ctrbench.embeddings.readers._base import MOST_NUMBERS, Source, VectorBlock
from ctrbench.embeddings.readers._columns import WRITTEN, Layout, choose
from ctrbench.embeddings.readers._parquet import open_parquet, read_ids
from ctrbench.errors import DataError

BATCH_NUMBERS = 1 << 20
BUFFER_BYTES = 1 << 20  # a page at a time, instead of whole row groups
TEXT_ROWS = 64  # of lists as text, which require more memory


class Parquet(_tables.Table):
    """Yields batches of rows, by row group; a first pass reads only the ids."""

    def layout(self, source: Source) -> Layout | None:
        """See `Table`."""
        with _opened(source.vectors) as file:
            kinds = _tables.columns(file.schema_arrow, _first(file))
            return choose(kinds, source) if file.metadata.num_rows else None

    def rows(self, source: Source, layout: Layout) -> Iterator[VectorBlock]:
        """See `Table`."""
        path = source.vectors
        with _opened(path) as file:
            ids = read_ids(file, layout.key, path)
            most = TEXT_ROWS if layout.kind == WRITTEN else _tables.BATCH_ROWS
            rows = min(most, rows_within(_width(file, layout, path), BATCH_NUMBERS))
            batches = file.iter_batches(rows, columns=layout.values)
            yield from _tables.blocks(batches, ids, layout, path)


def _opened(path: Path) -> Any:
    return open_parquet(path, pre_buffer=False, buffer_size=BUFFER_BYTES)


def _first(file: Any) -> dict[str, str]:
    text = [field.name for field in file.schema_arrow if _tables.is_text(field.type)]
    batch = next(file.iter_batches(64, columns=text), None) if text else None
    return {} if batch is None else _tables.first_texts(batch)


def _width(file: Any, layout: Layout, path: Path) -> int:
    """Return the largest mean number of values per row over row groups and columns.

    Only the metadata is read.

    Raises:
        DataError: The number exceeds `MOST_NUMBERS`.
    """
    most = 1
    for group in map(file.metadata.row_group, range(file.metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if column.path_in_schema.split(".")[0] in layout.values and group.num_rows:
                most = max(most, -(-column.num_values // group.num_rows))
    if most > MOST_NUMBERS:
        raise DataError(
            f"{path}: vectors have {most:,} numbers according to the metadata, the limit is "
            f"{MOST_NUMBERS:,}; check that the table has one row per item."
        )
    return most
