"""`.parquet`: a column of ids, and one column of lists or one column per dimension."""

from __future__ import annotations

import math
from collections.abc import Iterator
from glob import escape
from pathlib import Path
from typing import Any

from ctrbench.arrays import rows_within
from ctrbench.embeddings.readers import _tables
from ctrbench.embeddings.readers._base import MOST_NUMBERS, Source, VectorBlock
from ctrbench.embeddings.readers._columns import LIST, WRITTEN, Layout, choose
from ctrbench.embeddings.readers._parquet import open_parquet, read_ids
from ctrbench.errors import DataError, first_line

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
            rows = min(most, rows_within(_width(layout, path), BATCH_NUMBERS))
            batches = file.iter_batches(rows, columns=layout.values)
            yield from _tables.blocks(batches, ids, layout, path)


def _opened(path: Path) -> Any:
    return open_parquet(path, pre_buffer=False, buffer_size=BUFFER_BYTES)


def _first(file: Any) -> dict[str, str]:
    text = [field.name for field in file.schema_arrow if _tables.is_text(field.type)]
    batch = next(file.iter_batches(64, columns=text), None) if text else None
    return {} if batch is None else _tables.first_texts(batch)


def _width(layout: Layout, path: Path) -> int:
    """Return the largest mean number of values per row over row groups.

    Only the metadata is read. DuckDB reads it, because pyarrow ends the process if the metadata of
    a column are damaged.

    Raises:
        DataError: The number exceeds `MOST_NUMBERS`, or the metadata are damaged.
    """
    import duckdb

    if layout.kind != LIST:
        return 1
    query = """SELECT max(num_values / row_group_num_rows) FROM parquet_metadata(?)
        WHERE row_group_num_rows > 0 AND (path_in_schema = ? OR starts_with(path_in_schema, ?))"""
    name = layout.values[0]
    try:
        with duckdb.connect() as connection:
            found = connection.execute(query, [escape(str(path)), name, f"{name}, "]).fetchone()
    except duckdb.Error as error:
        raise DataError(
            f"{path}: its metadata cannot be read ({first_line(error)}). Save or copy it again."
        ) from error
    most = math.ceil((found or (None,))[0] or 1)
    if most > MOST_NUMBERS:
        raise DataError(
            f"{path}: vectors have {most:,} numbers according to the metadata, the limit is "
            f"{MOST_NUMBERS:,}; check that the table has one row per item."
        )
    return most
