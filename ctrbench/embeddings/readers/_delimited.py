"""Delimited text: ids, and one column of lists `[0.1, 0.2]` or one column per dimension."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ctrbench.embeddings.readers._base import Source, VectorBlock, check_widths
from ctrbench.embeddings.readers._columns import (
    NUMBER,
    WRITTEN,
    Layout,
    choose,
    is_list,
    parsed,
)
from ctrbench.embeddings.readers._ids import written
from ctrbench.embeddings.readers._packed import opened
from ctrbench.embeddings.readers._tables import Table
from ctrbench.errors import DataError
from ctrbench.separators import separators

BLOCK_BYTES = 1 << 24  # of text; the limit of a line


class Delimited(Table):
    """Yields blocks of lines in the order of the file; a first pass reads only the ids."""

    compressed = True
    separator: ClassVar[str]  # used if the header contains it, else another one from the header

    def layout(self, source: Source) -> Layout | None:
        """See `Table`."""
        return choose(self._header(source.vectors)[1], source)

    def rows(self, source: Source, layout: Layout) -> Iterator[VectorBlock]:
        """See `Table`."""
        import pyarrow as pa

        path, width, start = source.vectors, None, 0
        separator, _ = self._header(path)
        ids = _ids(path, layout, separator)
        kind = pa.float64() if layout.kind == NUMBER else pa.string()
        for batch in _batches(path, dict.fromkeys(layout.values, kind), separator):
            of_batch = ids[start : start + len(batch)]
            vectors = _vectors(batch, layout, of_batch, width, path, start + 1)
            start, width = start + len(batch), vectors.shape[1]
            yield VectorBlock(of_batch, vectors, layout.notes)

    def _header(self, path: Path) -> tuple[str, list[tuple[str, str]]]:
        """Return the separator, and the kind of the first value of each column."""
        limit = csv.field_size_limit(BLOCK_BYTES)
        try:
            start = _start(path)
            separator = only_separator(start.partition("\n")[0], self.separator, path)
            lines = csv.reader(io.StringIO(start, newline=""), delimiter=separator)
            header, first = next(lines, []), next(lines, [])
        except csv.Error as error:
            raise DataError(f"{path} cannot be read: {error}. Save or copy it again.") from error
        finally:
            csv.field_size_limit(limit)
        cells = [*first, *[""] * len(header)]
        kinds = [_kind(cell.strip()) for cell in cells]
        return separator, list(zip(header, kinds, strict=False))


def only_separator(header: str, usual: str, path: Path) -> str:
    """Return the separator of the columns of a header.

    Args:
        header: The first line.
        usual: The usual separator of such files.
        path: The file, for the message.

    Raises:
        DataError: The separator is ambiguous.
    """
    found = separators(header, usual)
    if len(found) > 1:
        listed = " or ".join(map(repr, found))
        raise DataError(
            f"{path}: the separator is ambiguous: {listed}. Save the file with {usual!r}."
        )
    return found[0]


def _ids(path: Path, layout: Layout, separator: str) -> list[str]:
    import pyarrow as pa

    columns = _batches(path, {layout.key: pa.string()}, separator)
    ids = [value for batch in columns for value in batch.column(0).to_pylist()]
    return written(ids, path, layout.key.startswith(" "), first=2) if ids else []


def _batches(path: Path, types: dict[str, Any], separator: str) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    with opened(path) as file:
        yield from arrow_csv.open_csv(
            pa.PythonFile(file, "r"),
            read_options=arrow_csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
            parse_options=arrow_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=[],
                strings_can_be_null=False,
            ),
        )


def _start(path: Path) -> str:
    """Return the first block of the text."""
    with io.TextIOWrapper(opened(path), "utf-8-sig", newline="") as file:
        return file.read(BLOCK_BYTES)


def _kind(cell: str) -> str:
    if is_list(cell):
        return WRITTEN
    if _is_number(cell or "nan"):
        return NUMBER
    return "numbers with a decimal comma" if _is_number(cell.replace(",", ".")) else "text"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _vectors(
    batch: Any, layout: Layout, ids: list[str], width: int | None, path: Path, first: int
) -> np.ndarray:
    """Return the vectors of a batch, (n, width) float64."""
    if layout.kind == NUMBER:
        return np.column_stack([batch.column(name).to_numpy() for name in layout.values])
    rows = parsed(ids, batch.column(layout.values[0]).to_pylist(), path, first)
    width = width or len(rows[0])
    check_widths(ids, np.array([len(row) for row in rows]), width, path)
    return np.array(rows, dtype=np.float64)
