"""`.csv`: a column of ids, and one column of lists `[0.1, 0.2]` or one column per dimension."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ctrbench.embeddings.readers._base import Block, Reader, Source, check_widths, refuse_ids
from ctrbench.embeddings.readers._columns import arrow_errors, choose
from ctrbench.errors import DataError

BLOCK_BYTES = 1 << 24  # of text; no line may be longer


class Csv(Reader):
    """Blocks of lines, in the order of the file."""

    has_columns = True

    def blocks(self, source: Source, scratch: Path) -> Iterator[Block]:
        """See `Reader`."""
        import pyarrow as pa
        import pyarrow.csv as arrow_csv

        refuse_ids(source)
        path, width = source.vectors, None
        with arrow_errors(path):
            key, values, is_list = choose(_columns(path), path, source.column)
            kind = pa.string() if is_list else pa.float64()
            reader = arrow_csv.open_csv(
                path,
                read_options=arrow_csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
                parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    column_types={key: pa.string(), **dict.fromkeys(values, kind)},
                    include_columns=[key, *values],
                    null_values=[],
                    strings_can_be_null=False,
                ),
            )
            for batch in reader:
                ids = [value.strip() for value in batch.column(key).to_pylist()]
                if is_list:
                    lists = batch.column(values[0]).to_pylist()
                    vectors = _matrix(ids, lists, width, path)
                else:
                    numbers = [batch.column(name) for name in values]
                    vectors = np.column_stack([column.to_numpy() for column in numbers])
                width = vectors.shape[1]
                yield Block(ids, vectors)


def _columns(path: Path) -> list[tuple[str, str]]:
    """Names from the first line, and what the first value of each column looks like."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            header, first = next(lines, []), next(lines, [])
    except csv.Error as error:
        raise DataError(f"{path} is not a CSV file: {error}.") from error
    cells = [*first, *[""] * len(header)]
    return [(name, _kind(cell.strip())) for name, cell in zip(header, cells, strict=False)]


def _kind(cell: str) -> str:
    if cell.startswith("["):
        return "list"
    try:
        float(cell or "nan")
    except ValueError:
        return "text"
    return "number"


def _matrix(ids: list[str], lists: list[str], width: int | None, path: Path) -> np.ndarray:
    """Lists written `[0.1, 0.2]` or `[0.1 0.2]` as (n, width)."""
    rows = [_numbers(item_id, cell, path) for item_id, cell in zip(ids, lists, strict=True)]
    width = width or len(rows[0])
    check_widths(ids, np.array([len(row) for row in rows]), width, path)
    return np.array(rows, dtype=np.float64)


def _numbers(item_id: str, cell: str, path: Path) -> list[float]:
    try:
        return [float(number) for number in cell.strip().strip("[]").replace(",", " ").split()]
    except ValueError as error:
        raise DataError(
            f"{path}: the vector of item {item_id} is no list of numbers: {error}."
        ) from error
