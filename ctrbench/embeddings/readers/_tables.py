"""The contract of readers of tables; converts Arrow columns to arrays of ids and vectors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ctrbench.embeddings.readers._base import (
    Reader,
    Source,
    VectorBlock,
    check_widths,
    refuse_ids,
)
from ctrbench.embeddings.readers._columns import (
    LIST,
    NUMBER,
    WRITTEN,
    Layout,
    arrow_errors,
    check_nulls,
    is_list,
    parsed,
)
from ctrbench.embeddings.readers._packed import check_expansion
from ctrbench.errors import DataError

BATCH_ROWS = 4096


class Table(Reader):
    """A reader of files with columns: one of ids, and one of lists or one per dimension."""

    has_columns = True

    def blocks(self, source: Source, scratch: Path) -> Iterator[VectorBlock]:
        """See `Reader`."""
        refuse_ids(source)
        with arrow_errors(source.vectors):
            layout = self.layout(source)
            if layout is not None:
                yield from self.rows(source, layout)

    @abstractmethod
    def layout(self, source: Source) -> Layout | None:
        """Return the columns to read; None if the file has no rows."""

    @abstractmethod
    def rows(self, source: Source, layout: Layout) -> Iterator[VectorBlock]:
        """Yield all rows.

        Args:
            source: The file.
            layout: The columns to read.

        Raises:
            DataError: The file is damaged, or a row is invalid.
        """


def columns(schema: Any, first: dict[str, Any]) -> list[tuple[str, str]]:
    """Return name and kind of each column.

    Args:
        schema: The Arrow schema.
        first: A value that is not null, for each column of text that has one.
    """
    found = [(field.name, _kind(field.type)) for field in schema]
    return [
        (name, WRITTEN if name in first and is_list(first[name]) else kind) for name, kind in found
    ]


def first_texts(batch: Any) -> dict[str, str]:
    """Return the first value of each column of text that has one."""
    found = {}
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if is_text(field.type) and column.null_count < len(column):
            found[field.name] = column.drop_null()[0].as_py()
    return found


def is_text(type_: Any) -> bool:
    """Return whether an Arrow type is text."""
    import pyarrow.types as types

    return types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_)


def blocks(
    batches: Iterable[Any], ids: list[str], layout: Layout, path: Path
) -> Iterator[VectorBlock]:
    """Yield blocks of ids and vectors.

    Args:
        batches: Batches of the columns of vectors, in the order of the file.
        ids: The ids of all rows.
        layout: The columns to read.
        path: The file, for messages.

    Raises:
        DataError: Vectors are null or differ in width.
    """
    start, width = 0, None
    for batch in batches:
        of_batch = ids[start : start + len(batch)]
        if len(of_batch) != len(batch):
            raise DataError(f"{path} is damaged: its columns differ in length. Copy it again.")
        given = [_storage(batch.column(name), path) for name in layout.values]
        if not len(batch):
            continue
        if layout.kind == LIST:
            vectors = _matrix(given[0], of_batch, width, path)
        elif layout.kind == WRITTEN:
            rows = parsed(of_batch, given[0].to_pylist(), path, first=start + 1)
            width = width or len(rows[0])
            check_widths(of_batch, np.array([len(row) for row in rows]), width, path)
            vectors = np.array(rows, np.float64)
        else:
            valid = [_numpy(column.is_valid()) for column in given]
            check_nulls(of_batch, ~np.column_stack(valid).all(axis=1), path)
            vectors = np.column_stack([_numpy(column) for column in given])
        start, width = start + len(batch), vectors.shape[1]
        yield VectorBlock(of_batch, vectors, layout.notes)


def _kind(type_: Any) -> str:
    import pyarrow as pa
    import pyarrow.types as types

    if isinstance(type_, pa.BaseExtensionType):
        type_ = type_.storage_type
    if is_list_type(type_):
        inner = type_.value_type
        return LIST if types.is_floating(inner) or types.is_int8(inner) else str(type_)
    return NUMBER if types.is_floating(type_) else str(type_)


def is_list_type(type_: Any) -> bool:
    """Return whether an Arrow type is a list of any form."""
    import pyarrow.types as types

    plain = types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_)
    return plain or types.is_list_view(type_) or types.is_large_list_view(type_)


def without_views(column: Any) -> Any:
    """Return a column of list views, whose values may have any order, as lists."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as types

    if not (types.is_list_view(column.type) or types.is_large_list_view(column.type)):
        return column
    # `cast` of pyarrow 26 reads one offset too many from arrays of `combine_chunks`
    lengths = pc.call_function("list_value_length", [column]).fill_null(0)
    offsets = np.concatenate([[0], np.cumsum(_numpy(lengths))])
    missing = column.is_null()
    return pa.LargeListArray.from_arrays(pa.array(offsets), column.flatten(), mask=missing)


def check_texts(column: Any, path: Path) -> None:
    """Check that the texts of a column do not repeat a long one, to which their rows only refer.

    Args:
        column: A column, or an array.
        path: The file.

    Raises:
        DataError: The texts are far larger than the file.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as types

    total = 0
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        if types.is_dictionary(chunk.type) and _has_lengths(chunk.type.value_type):
            lengths = pc.call_function("binary_length", [chunk.dictionary])
            total += pc.call_function("sum", [lengths.take(chunk.indices)]).as_py() or 0
        elif types.is_string_view(chunk.type) or types.is_binary_view(chunk.type):
            views = np.frombuffer(chunk.buffers()[1], np.int32)[4 * chunk.offset :: 4]
            total += int(views[: len(chunk)].sum(dtype=np.int64))
    check_expansion(total, path.stat().st_size, path)


def _has_lengths(type_: Any) -> bool:
    import pyarrow.types as types

    kinds = types.is_string, types.is_large_string, types.is_binary, types.is_large_binary
    return any(is_kind(type_) for is_kind in kinds)


def _storage(column: Any, path: Path) -> Any:
    """Return the storage of an array of an extension type, such as tensors; list views as lists.

    Raises:
        DataError: List views repeat numbers, so that they are far larger than the file.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = column.storage if isinstance(column, pa.ExtensionArray) else column
    if is_list_type(column.type):
        lengths = pc.call_function("list_value_length", [column])
        numbers = pc.call_function("sum", [lengths]).as_py() or 0
        check_expansion(numbers, path.stat().st_size, path)
    return without_views(column)


def _matrix(column: Any, ids: list[str], width: int | None, path: Path) -> np.ndarray:
    """Return lists of equal width as an array, (n, width)."""
    import pyarrow.compute as pc

    valid = _numpy(column.is_valid())
    check_nulls(ids, ~valid, path)
    widths = _numpy(pc.call_function("list_value_length", [column])).astype(np.int64)
    width = width or int(widths[0])
    check_widths(ids, widths, width, path)
    numbers = column.flatten()
    if len(numbers) != len(ids) * width:
        raise DataError(f"{path} is damaged: its lists and their numbers differ in length.")
    if numbers.null_count:
        check_nulls(ids, ~_numpy(numbers.is_valid()).reshape(len(ids), width).all(axis=1), path)
    return _numpy(numbers).reshape(len(ids), width)


def _numpy(column: Any) -> np.ndarray:
    return column.to_numpy(zero_copy_only=False)
