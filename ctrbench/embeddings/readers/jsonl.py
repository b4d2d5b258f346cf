"""`.jsonl`, `.jsonl.gz`: an object per line, with an id, and a list or one number per dimension."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ctrbench.embeddings.readers._base import NAMED, Source, VectorBlock, check_widths
from ctrbench.embeddings.readers._columns import (
    LIST,
    NUMBER,
    WRITTEN,
    Layout,
    check_nulls,
    choose,
    is_list,
    parsed,
)
from ctrbench.embeddings.readers._json import ids_of_values
from ctrbench.embeddings.readers._packed import opened
from ctrbench.embeddings.readers._tables import Table
from ctrbench.errors import DataError

FIRST_ROWS = 64  # that determine the kinds of the columns
BLOCK_CHARACTERS = LONGEST_LINE = 1 << 24


class JsonLines(Table):
    """Yields blocks of lines; blank lines are skipped."""

    compressed = True

    def layout(self, source: Source) -> Layout | None:
        """See `Table`."""
        first = [row for _, _, row in islice(_rows(source.vectors), FIRST_ROWS)]
        return choose(_kinds(first, source), source) if first else None

    def rows(self, source: Source, layout: Layout) -> Iterator[VectorBlock]:
        """See `Table`."""
        path, width = source.vectors, None
        for lines, rows in _blocks(path):
            of_block = [row.get(layout.key) for row in rows]
            ids = ids_of_values(of_block, f"{path}, {layout.key}", lines)
            vectors = _vectors(rows, layout, ids, width, path, lines[0])
            width = vectors.shape[1]
            yield VectorBlock(ids, vectors, layout.notes)


def _rows(path: Path) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield the number of each line, from 1, its length, and its object."""
    with _text_errors(path), io.TextIOWrapper(opened(path), "utf-8-sig") as file:
        lines = iter(lambda: file.readline(LONGEST_LINE), "")
        for number, line in enumerate(lines, start=1):
            if len(line) == LONGEST_LINE:
                raise DataError(
                    f"{path}, line {number:,} is longer than {LONGEST_LINE:,} characters. "
                    "Write one object per line."
                )
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(
                    f"{path}, line {number:,} is not a complete JSON object: {error}. Every "
                    "line must contain one."
                ) from error
            if not isinstance(row, dict):
                raise DataError(
                    f"{path}, line {number:,}: {type(row).__name__} instead of an object such as "
                    '{"item_id": 7, "vector": [0.1, 0.2]}.'
                )
            yield number, len(line), row


@contextmanager
def _text_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(f"{path} cannot be read: {error}. Save or copy it again.") from error


def _blocks(path: Path) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """Yield blocks of rows with the numbers of their lines."""
    lines, rows, size = list[int](), list[dict[str, Any]](), 0
    for number, length, row in _rows(path):
        lines.append(number)
        rows.append(row)
        size += length
        if size >= BLOCK_CHARACTERS:
            yield lines, rows
            lines, rows, size = [], [], 0
    if rows:
        yield lines, rows


def _kinds(rows: list[dict[str, Any]], source: Source) -> list[tuple[str, str]]:
    """Return name and kind of each column.

    Some programs write 1.0 as 1, so whole numbers are floating-point numbers if the user names the
    column, or if no other column can be the vector.
    """
    values: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            values.setdefault(name, []).append(value)
    kinds = {name: _kind(found) for name, found in values.items()}
    usable = {kind for name, kind in kinds.items() if name not in (*NAMED, source.ids_column)}
    if source.column in kinds or not {LIST, WRITTEN, NUMBER} & usable:
        whole = {"list of integers": LIST}
        kinds = {name: whole.get(kind, kind) for name, kind in kinds.items()}
    return list(kinds.items())


def _kind(found: list[Any]) -> str:
    """Return the kind of a column, by its first value; whether it holds floats, by all."""
    given = [value for value in found if value is not None]
    first = given[0] if given else None
    if isinstance(first, list):
        if not all(isinstance(number, int | float | None) for number in first):
            return "list of other values"
        lists = [value for value in given if isinstance(value, list)]
        floats = any(isinstance(number, float) for value in lists for number in value)
        return LIST if floats else "list of integers"
    if isinstance(first, str):
        return WRITTEN if is_list(first) else "text"
    return NUMBER if any(isinstance(value, float) for value in given) else type(first).__name__


def _vectors(
    rows: list[dict[str, Any]],
    layout: Layout,
    ids: list[str],
    width: int | None,
    path: Path,
    first: int,
) -> np.ndarray:
    """Return the vectors of a block, (n, width) float64."""
    lists: list[Any]
    if layout.kind == NUMBER:
        lists = [[row.get(name) for name in layout.values] for row in rows]
    else:
        lists = [row.get(layout.values[0]) for row in rows]
    if layout.kind == WRITTEN:
        lists = parsed(ids, lists, path, first)
    check_nulls(
        ids, [one is None or (isinstance(one, list) and None in one) for one in lists], path
    )
    if not all(isinstance(one, list) for one in lists):
        raise _no_numbers(ids, lists, path)
    check_widths(ids, np.array([len(one) for one in lists]), width or len(lists[0]), path)
    try:
        vectors = np.array(lists)
    except (ValueError, OverflowError) as error:  # nested lists
        raise _no_numbers(ids, lists, path) from error
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise _no_numbers(ids, lists, path)
    return vectors.astype(np.float64)


def _no_numbers(ids: list[str], lists: list[Any], path: Path) -> DataError:
    """Return the error for vectors that are not lists of numbers; names the first one."""
    wrong = (
        (raw, one)
        for raw, one in zip(ids, lists, strict=True)
        if not isinstance(one, list) or not all(isinstance(n, int | float) for n in one)
    )
    raw, one = next(wrong, (ids[0], lists[0]))
    return DataError(f"{path}, item {raw}: {str(one)[:60]} is not a list of numbers.")
