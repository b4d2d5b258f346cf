"""`.parquet`: a column of ids, and one column of lists or one column per dimension."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ctrbench.embeddings.readers._base import Block, Reader, Source, check_widths, refuse_ids
from ctrbench.embeddings.readers._columns import arrow_errors, choose
from ctrbench.errors import DataError

BATCH_ROWS = 4096


class Parquet(Reader):
    """Batches of rows, row group by row group."""

    has_columns = True

    def blocks(self, source: Source, scratch: Path) -> Iterator[Block]:
        """See `Reader`."""
        import pyarrow.parquet as pq

        refuse_ids(source)
        path = source.vectors
        with arrow_errors(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
            columns = [(field.name, _kind(field.type)) for field in file.schema_arrow]
            key, values, is_list = choose(columns, path, source.column)
            width = None
            for batch in file.iter_batches(BATCH_ROWS, columns=[key, *values]):
                ids = _text(batch.column(key), path)
                if is_list:
                    vectors = _matrix(batch.column(values[0]), ids, width, path)
                else:
                    numbers = [batch.column(name) for name in values]
                    vectors = np.column_stack([_numpy(column) for column in numbers])
                width = vectors.shape[1]
                yield Block(ids, vectors)


def _kind(type_: Any) -> str:
    import pyarrow.types as types

    if types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_):
        return "list" if types.is_floating(type_.value_type) else str(type_)
    return "number" if types.is_floating(type_) else str(type_)


def _text(column: Any, path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.types as types

    type_ = column.type.value_type if types.is_dictionary(column.type) else column.type
    strings = types.is_string(type_) or types.is_large_string(type_)
    if not (types.is_integer(type_) or strings) or column.null_count:
        missing = f" with {column.null_count} missing" if column.null_count else ""
        raise DataError(
            f"{path}: ids are {type_}{missing}; expected an integer or a string in each row."
        )
    return column.cast(pa.string()).to_pylist()


def _matrix(column: Any, ids: list[str], width: int | None, path: Path) -> np.ndarray:
    """Lists of one width as (n, width)."""
    import pyarrow.compute as pc

    lengths = pc.call_function("list_value_length", [column]).to_numpy(zero_copy_only=False)
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    widths = np.where(valid, lengths, 0).astype(np.int64)
    width = width or int(widths[0])
    check_widths(ids, widths, width, path)
    return _numpy(column.flatten()).reshape(len(ids), width)


def _numpy(column: Any) -> np.ndarray:
    """A missing number becomes NaN, which is refused later, with its id."""
    return column.to_numpy(zero_copy_only=False)
