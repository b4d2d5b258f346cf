"""Large arrays: iteration in blocks of rows; files whose writing names the error of the system."""

from __future__ import annotations

import mmap
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, TypeVar, cast

import numpy as np

T = TypeVar("T")
R = TypeVar("R")

# what numpy raises for `.npy` files that are damaged, besides an OSError
NPY_ERRORS = (
    *(ValueError, TypeError, EOFError, OverflowError, MemoryError),
    *(TokenError, SyntaxError),
)
BLOCK_ROWS = 1 << 18
DONTNEED = "MADV_DONTNEED"  # not on every system
BLOCK_BYTES = 1 << 25  # of float64 vectors
THREADS = 2


def blocks(stop: int, rows: int | None = None, start: int = 0) -> Iterator[slice]:
    """Yield consecutive slices that cover the range from `start` to `stop`.

    Args:
        stop: The end of the range, exclusive.
        rows: The length of each slice, 262,144 by default; the last one may be shorter.
        start: The beginning of the range.

    >>> list(blocks(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = BLOCK_ROWS if rows is None else rows
    for begin in range(start, stop, step):
        yield slice(begin, min(begin + step, stop))


def ahead(parts: Iterable[T]) -> Iterator[T]:
    """Yield parts while a thread already prepares the next one.

    Args:
        parts: The parts; preparing one must not depend on the use of the one before.

    >>> list(ahead(range(3)))
    [0, 1, 2]
    """
    iterator, end = iter(parts), object()
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, iterator, end)
        while (part := coming.result()) is not end:
            coming = thread.submit(next, iterator, end)
            yield cast("T", part)


def in_threads(work: Callable[[T], R], parts: Iterable[T]) -> Iterator[R]:
    """Yield the result of a function for each part, in their order, computed by two threads.

    Args:
        work: The function; numpy's work on large arrays runs in parallel.
        parts: Its arguments; at most three are held at a time.

    >>> list(in_threads(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    with ThreadPoolExecutor(THREADS) as pool:
        waiting: deque[Future[R]] = deque()
        for part in parts:
            waiting.append(pool.submit(work, part))
            if len(waiting) > THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def rows_within(row_bytes: int, limit: int) -> int:
    """Return how many rows fit into a block of memory, at least one.

    Args:
        row_bytes: The size of a row in bytes.
        limit: The size of the block in bytes.

    >>> rows_within(1024, 4096), rows_within(8192, 4096)
    (4, 1)
    """
    return max(1, limit // max(1, row_bytes))


def table_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield slices of the rows of an (n, D) array, each at most 32 MiB as float64."""
    return blocks(shape[0], rows_within(8 * shape[1], BLOCK_BYTES))


def release(array: np.ndarray) -> None:
    """Remove the pages of a memory map from the memory of the process; the file keeps its data.

    Without it, the process holds every page of a table that it has read or written once. An array
    that is not a memory map of a file stays as it is.
    """
    if isinstance(array, np.memmap) and array.mode in ("r", "r+") and hasattr(mmap, DONTNEED):
        mapped: mmap.mmap = array._mmap  # pyright: ignore[reportAttributeAccessIssue]
        mapped.madvise(getattr(mmap, DONTNEED))


@dataclass(frozen=True)
class SelectedRows:
    """The selected rows of a table as float64 blocks; can be iterated more than once."""

    vectors: np.ndarray  # (V, D)
    chosen: np.ndarray  # (V,) bool

    def __iter__(self) -> Iterator[np.ndarray]:
        for rows in table_blocks(self.vectors.shape):
            if self.chosen[rows].any():
                yield self.vectors[rows][self.chosen[rows]].astype(np.float64)

    def __len__(self) -> int:
        return int(self.chosen.sum())

    @property
    def width(self) -> int:
        """The number of columns, D."""
        return self.vectors.shape[1]

    def mean(self) -> np.ndarray:
        """Return the mean of the selected rows, (D,) float64."""
        return sum((block.sum(0) for block in self), np.zeros(self.width)) / len(self)


def map_npy(path: Path) -> np.memmap:
    """Return the array of a `.npy` file, memory-mapped and read-only, without warnings of numpy.

    Args:
        path: The file.

    Raises:
        ValueError: And the others of `NPY_ERRORS`: the file is damaged, or has pickled objects.
        OSError: The file cannot be read.
    """
    with warnings.catch_warnings():  # about impossible sizes, and headers of Python 2
        warnings.simplefilter("ignore")
        return np.lib.format.open_memmap(path, mode="r")


def write_npy(
    file: IO[bytes], dtype: np.dtype, shape: tuple[int, ...], parts: Iterable[np.ndarray]
) -> None:
    """Write an array in `.npy` format, part by part.

    On a full disk this raises an OSError, where a memory map would crash the process.

    Args:
        file: An empty file, open for binary writing.
        dtype: The type of the stored array.
        shape: The shape of the stored array.
        parts: Consecutive rows of it; each part is converted to `dtype`.
    """
    description = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": description, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for part in parts:
        file.write(np.ascontiguousarray(part, dtype).data)


def save_array(path: Path, values: np.ndarray) -> None:
    """Write an array as `.npy`.

    On a full disk, `np.save` on a path raises an error without the reason.

    Args:
        path: The file.
        values: The array, not of objects.

    Raises:
        OSError: The file cannot be written.
    """
    with path.open("wb") as file:
        np.save(_Passed(file), values, allow_pickle=False)


def save_tensors(path: Path, value: object) -> None:
    """Write what `torch.save` writes.

    On a full disk, `torch.save` raises an error without the reason.

    Args:
        path: The file.
        value: Tensors in dictionaries and lists.

    Raises:
        OSError: The file cannot be written.
    """
    import torch

    with path.open("wb") as file:
        passed = _Passed(file)
        try:
            torch.save(value, passed)  # pyright: ignore[reportArgumentType]
        except RuntimeError:
            if passed.error is None:
                raise
            raise passed.error from None


class _Passed:
    """A file that libraries write through Python, and the error of the system if there is one."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, content: Any) -> int:
        """Write bytes and return their number.

        Raises:
            OSError: The disk is full, for example.
        """
        try:
            return self._file.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Do nothing: closing the file writes the rest."""
