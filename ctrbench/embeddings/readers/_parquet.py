"""Opens Parquet files, and reads their ids, after a check of the sizes that they claim."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctrbench.embeddings.readers._packed import check_expansion
from ctrbench.embeddings.readers._tables import check_texts
from ctrbench.errors import DataError
from ctrbench.raw_ids import as_text

ID_BYTES = 8  # of one id, at least


def open_parquet(path: Path, **options: Any) -> Any:
    """Return an opened file whose checksums are verified.

    Args:
        path: The file.
        **options: Further options of `pyarrow.parquet.ParquetFile`.

    Raises:
        DataError: The metadata claim far more rows or bytes than the file can hold.
    """
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path, page_checksum_verification=True, **options)
    try:
        packed, facts = path.stat().st_size, file.metadata
        groups = map(facts.row_group, range(facts.num_row_groups))
        unpacked = sum(group.total_byte_size for group in groups)
        check_expansion(max(unpacked, ID_BYTES * facts.num_rows), packed, path)
    except DataError:
        file.close()
        raise
    return file


def read_ids(file: Any, key: str, path: Path) -> list[str]:
    """Return the ids of a column.

    Args:
        file: The opened file.
        key: The column.
        path: The file, for messages.

    Raises:
        DataError: Ids are missing or invalid, or one long text is repeated.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    import pyarrow.types as types

    where, kind = f"{path}, column {key}", file.schema_arrow.field(key).type
    if types.is_nested(kind):
        raise DataError(f"{where}: ids are of type {kind}; save integers or text.")
    if types.is_fixed_size_binary(kind):
        check_expansion(kind.byte_width * file.metadata.num_rows, path.stat().st_size, where)
    coded = types.is_string(kind) or types.is_binary(kind)
    with pq.ParquetFile(
        path, page_checksum_verification=True, read_dictionary=[key] if coded else None
    ) as again:
        column = again.read(columns=[key]).column(key)
    check_texts(column, path)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return as_text(column, where)
