"""The columns of a data set as memory-mapped arrays, and the hash of their content."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrbench.arrays import write_npy
from ctrbench.errors import StoreError, first_line
from ctrbench.identity import ContentHash, canonical_json
from ctrbench.schema import ColumnValues, DatasetManifest, Ragged

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

TABLES = {"impressions": 0, "history": 0, "items": 1, "users": 1}  # rows before the first: unknown
BATCH = 1 << 18  # rows read at a time


def derive(tables: Path, folder: Path) -> None:
    """Write every number column of Parquet tables as `<table>.<column>.npy`.

    A list column becomes `.offsets` and `.values`. Items and users get their row 0, the unknown
    one: code 0, NaN, an empty list.

    Args:
        tables: The folder of a data set.
        folder: An existing folder for the arrays.

    Raises:
        StoreError: A table is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for table, first in TABLES.items():
        path = tables / f"{table}.parquet"
        with table_errors(path), pq.ParquetFile(path) as file:
            for field in file.schema_arrow:
                stem = folder / f"{table}.{field.name}"
                if first and field.name in ("user_id", "item_id"):
                    continue  # of users and items, they only give the number of rows
                if pa.types.is_list(field.type):
                    _write_lists(file, field.name, stem, first)
                elif pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
                    _write_numbers(file, field, stem, first)


@contextmanager
def table_errors(path: Path) -> Iterator[None]:
    """Turn pyarrow's errors about a table into a message.

    Raises:
        StoreError: The file is missing or damaged.
    """
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT):
            raise  # an error of the disk, not of the file
        reason = first_line(error).rstrip(".")
        raise StoreError(
            f"{path} is missing or damaged ({reason}): remove the data set and import it again."
        ) from error


def load(folder: Path) -> Iterator[tuple[str, ColumnValues]]:
    """Yield the columns that `derive` wrote, memory-mapped, sorted by `<table>.<column>`.

    A caller that drops each column before the next one keeps the pages of a single column in
    memory.
    """
    for path in sorted(folder.glob("*.npy")):
        name = path.name.removesuffix(".npy")
        if name.endswith(".offsets"):
            name = name.removesuffix(".offsets")
            yield name, Ragged(_map(path), _map(folder / f"{name}.values.npy"))
        elif not name.endswith(".values"):
            yield name, _map(path)


def strings(path: Path, column: str) -> Iterator[str]:
    """Yield the values of a text column of a Parquet file, read a block at a time.

    Args:
        path: The file.
        column: Its column.
    """
    import pyarrow.parquet as pq

    with table_errors(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH, columns=[column]):
            yield from batch.column(0).to_pylist()


def content_hash(
    tables: Path, columns: Iterable[tuple[str, ColumnValues]], manifest: DatasetManifest
) -> str:
    """Return the hash of all content that a cell can depend on.

    It covers label, split, ids, numbers, codes and their values. Text fields, images and the rest
    of the manifest are left out.

    Args:
        tables: The folder of the data set.
        columns: The columns in the order of `load`.
        manifest: The manifest of the data set.
    """
    facts = manifest.model_dump(mode="json", include={"label", "split", "periods", "history"})
    if manifest.snapshot != "impression":  # the only one when hashes were defined
        facts["snapshot"] = [manifest.snapshot, manifest.snapshot_column]
    if manifest.unknown_codes:  # older data sets have none
        facts["unknown_codes"] = list(manifest.unknown_codes)
    if manifest.labels:
        facts["labels"] = list(manifest.labels)
    facts["fields"] = [field.model_dump() for field in manifest.fields if field.kind != "text"]
    content = ContentHash()
    content.text("facts", [canonical_json(facts)])
    for name, column in columns:
        if isinstance(column, Ragged):
            content.array(f"{name}.offsets", column.offsets)
            content.array(f"{name}.values", column.values)
        else:
            content.array(name, column)
    for column in ("field", "value"):
        content.text(f"vocabularies.{column}", strings(tables / "vocabularies.parquet", column))
    for table in ("items", "users"):
        content.text(f"{table}.raw_id", strings(tables / f"{table}.parquet", "raw_id"))
    return content.hexdigest()


def items_hash(tables: Path) -> str:
    """Return the hash of the raw item ids in the order of their dense ids."""
    content = ContentHash()
    content.text("raw_id", strings(tables / "items.parquet", "raw_id"))
    return content.hexdigest()


def _map(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _write_numbers(file: pq.ParquetFile, field: pa.Field, stem: Path, first: int) -> None:
    """Stream one column; a missing number is NaN."""
    dtype = np.dtype(field.type.to_pandas_dtype())
    unknown = np.full(first, np.nan if dtype.kind == "f" else 0)
    blocks = (column.to_numpy(zero_copy_only=False) for column in _blocks(file, field.name))
    _write_npy(f"{stem}.npy", dtype, file.metadata.num_rows + first, chain([unknown], blocks))


def _write_lists(file: pq.ParquetFile, name: str, stem: Path, first: int) -> None:
    """Stream one list column: its number of values, its lengths, then its values."""
    rows = file.metadata.num_rows
    total = sum(len(column.flatten()) for column in _blocks(file, name))
    _write_npy(
        f"{stem}.offsets.npy", np.dtype(np.int64), 1 + first + rows, _offsets(file, name, first)
    )
    values = (column.flatten().to_numpy(zero_copy_only=False) for column in _blocks(file, name))
    _write_npy(f"{stem}.values.npy", np.dtype(np.int32), total, values)


def _offsets(file: pq.ParquetFile, name: str, first: int) -> Iterator[np.ndarray]:
    """Yield where the list of each row begins, and where the last one ends."""
    yield np.zeros(1 + first, np.int64)
    end = 0
    for column in _blocks(file, name):
        ends = end + np.cumsum(
            np.diff(column.offsets.to_numpy(zero_copy_only=False)), dtype=np.int64
        )
        yield ends
        end = int(ends[-1]) if len(ends) else end


def _blocks(file: pq.ParquetFile, name: str) -> Iterator[Any]:
    for batch in file.iter_batches(BATCH, columns=[name]):
        yield batch.column(0)


def _write_npy(path: str, dtype: np.dtype, rows: int, blocks: Iterable[np.ndarray]) -> None:
    """Write a one-dimensional .npy in sequence: on a full disk a memory map would crash."""
    with Path(path).open("wb") as file:
        write_npy(file, dtype, (rows,), blocks)
