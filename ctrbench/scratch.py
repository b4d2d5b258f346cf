"""Arrays with one entry per row that one computation requires; large ones lie in files."""

from __future__ import annotations

import os
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ctrbench import arrays
from ctrbench.arrays import blocks
from ctrbench.atomic import PARTIAL, disk_errors

SMALL_BYTES = 1 << 23  # smaller arrays stay in memory
ROW_BITS = np.uint64(32)  # the low bits of sort keys; the others are a value
ROW = np.uint64((1 << 32) - 1)


@dataclass(frozen=True)
class Scratch:
    """Provides arrays that are memory maps of unnamed files, which the system deletes.

    The system can write their pages to the disk, so that they do not limit the rows that a
    computation handles.
    """

    folder: Path | None = None  # of the files; None: all arrays stay in memory

    def empty(self, rows: int, dtype: DTypeLike) -> np.ndarray:
        """Return a (rows,) array with arbitrary content.

        Args:
            rows: The length.
            dtype: The type of its numbers.

        Raises:
            StoreError: The folder cannot be written, or the disk is full.
        """
        size = rows * np.dtype(dtype).itemsize
        if self.folder is None or size <= SMALL_BYTES:
            return np.empty(rows, dtype)
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder, prefix=PARTIAL) as file:
                _reserve(file.fileno(), size)
                return np.asarray(np.memmap(file, dtype, "r+", shape=(rows,)))

    def filled(self, rows: int, dtype: DTypeLike, parts: Iterable[Any]) -> np.ndarray:
        """Return a (rows,) array with given content.

        Args:
            rows: The length.
            dtype: The type of its numbers.
            parts: Consecutive entries, at least `rows` in total.

        Raises:
            StoreError: The folder cannot be written, or the disk is full.
        """
        found, start = self.empty(rows, dtype), 0
        for part in parts:
            found[start : start + len(part)] = part
            start += len(part)
        return found


IN_MEMORY = Scratch()


def sections(keys: np.ndarray, value: Callable[[Any], Any]) -> Iterator[slice]:
    """Yield consecutive slices of sorted keys that do not divide a run of equal values.

    A slice has `arrays.BLOCK_ROWS` keys and the rest of their last run; the last slice may be
    shorter.

    Args:
        keys: (N,) any type.
        value: Returns the value of a key; ascending.

    >>> list(sections(np.array([10, 11, 20]), lambda key: key // 10))
    [slice(0, 3, None)]
    """
    start = 0
    while start < len(keys):
        stop = min(start + arrays.BLOCK_ROWS, len(keys))
        if stop < len(keys):
            stop = bisect_right(keys, value(keys[stop - 1]), stop, key=value)
        yield slice(start, stop)
        start = stop


def sorted_rows(code: np.ndarray, scratch: Scratch = IN_MEMORY) -> np.ndarray:
    """Return (N,) uint64 keys `code << 32 | row`, sorted.

    Args:
        code: (N,) int in [0, 2^31); N below 2^32.
        scratch: Provides the array.
    """
    key = scratch.empty(len(code), np.uint64)
    for part in blocks(len(code)):
        rows = np.arange(part.start, part.stop, dtype=np.uint64)
        key[part] = code[part].astype(np.uint64) << ROW_BITS | rows
    key.sort()
    return key


def rows_by_code(key: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows of consecutive codes, about `arrays.BLOCK_ROWS` at a time; see `sections`.

    The rows are sorted by code, and those of each code ascend.

    Args:
        key: (N,) uint64, see `sorted_rows`.

    >>> list(rows_by_code(sorted_rows(np.array([5, 2, 5]))))
    [array([1, 0, 2])]
    """
    for part in sections(key, lambda one: one >> ROW_BITS):
        yield (key[part] & ROW).astype(np.int64)


def _reserve(descriptor: int, size: int) -> None:
    """Allocate a file on the disk; writing into a memory map on a full disk kills the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    zeros = bytes(SMALL_BYTES)  # macOS
    for start in range(0, size, SMALL_BYTES):
        os.write(descriptor, zeros[: size - start])
