"""Files of separated values: ids, and one column of lists `[0.1, 0.2]` or one per dimension."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ctrbench.embeddings.readers._base import Block, Reader, Source, check_widths, refuse_ids
from ctrbench.embeddings.readers._columns import (
    NUMBER,
    WRITTEN,
    Layout,
    arrow_errors,
    choose,
    is_list,
    parsed,
)
from ctrbench.embeddings.readers._ids import written
from ctrbench.errors import DataError

BLOCK_BYTES = 1 << 24  # of text; no line may be longer


class Delimited(Reader):
    """Blocks of lines, in the order of the file; a first pass reads the ids alone."""

    has_columns = True
    compressed = True
    separator: ClassVar[str]

    def blocks(self, source: Source, scratch: Path) -> Iterator[Block]:
        """See `Reader`."""
        import pyarrow as pa

        refuse_ids(source)
        path, width, start = source.vectors, None, 0
        with arrow_errors(path):
            layout = choose(self._columns(path), path, source.column)
            ids = self._ids(path, layout)
            kind = pa.float64() if layout.kind == NUMBER else pa.string()
            for batch in self._batches(path, dict.fromkeys(layout.values, kind)):
                of_batch = ids[start : start + len(batch)]
                vectors = _vectors(batch, layout, of_batch, width, path)
                start, width = start + len(batch), vectors.shape[1]
                yield Block(of_batch, vectors, layout.notes)

    def _ids(self, path: Path, layout: Layout) -> list[str]:
        import pyarrow as pa

        columns = self._batches(path, {layout.key: pa.string()})
        ids = [value for batch in columns for value in batch.column(0).to_pylist()]
        return written(ids, path, layout.key.startswith(" "), first=2) if ids else []

    def _columns(self, path: Path) -> list[tuple[str, str]]:
        """Names from the first line, and what the first value of each column looks like."""
        limit = csv.field_size_limit(BLOCK_BYTES)
        try:
            lines = csv.reader(io.StringIO(_start(path), newline=""), delimiter=self.separator)
            header, first = next(lines, []), next(lines, [])
        except (csv.Error, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path} cannot be read: {error}. Save or copy it again.") from error
        finally:
            csv.field_size_limit(limit)
        cells = [*first, *[""] * len(header)]
        return [(name, _kind(cell.strip())) for name, cell in zip(header, cells, strict=False)]

    def _batches(self, path: Path, types: dict[str, Any]) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.csv as arrow_csv

        compression = "gzip" if path.suffix.lower() == ".gz" else None
        with pa.input_stream(str(path), compression=compression) as stream:
            yield from arrow_csv.open_csv(
                stream,
                read_options=arrow_csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self.separator, newlines_in_values=True
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=types,
                    include_columns=list(types),
                    null_values=[],
                    strings_can_be_null=False,
                ),
            )


def _start(path: Path) -> str:
    """As much of the text as a block holds."""
    packed = path.suffix.lower() == ".gz"
    with (gzip.open if packed else open)(path, "rt", encoding="utf-8-sig", newline="") as file:
        return file.read(BLOCK_BYTES)


def _kind(cell: str) -> str:
    if is_list(cell):
        return WRITTEN
    try:
        float(cell or "nan")
    except ValueError:
        return "text"
    return NUMBER


def _vectors(
    batch: Any, layout: Layout, ids: list[str], width: int | None, path: Path
) -> np.ndarray:
    """(n, width) float64."""
    if layout.kind == NUMBER:
        return np.column_stack([batch.column(name).to_numpy() for name in layout.values])
    rows = parsed(ids, batch.column(layout.values[0]).to_pylist(), path)
    width = width or len(rows[0])
    check_widths(ids, np.array([len(row) for row in rows]), width, path)
    return np.array(rows, dtype=np.float64)
