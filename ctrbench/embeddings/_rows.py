"""A table walked in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BLOCK_BYTES = 1 << 25


def row_slices(rows: int, width: int) -> Iterator[slice]:
    """Consecutive slices of a (rows, width) array, each at most 32 MB as float64.

    >>> list(row_slices(5, BLOCK_BYTES // 16))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, BLOCK_BYTES // (8 * max(1, width)))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


@dataclass(frozen=True)
class Rows:
    """The chosen rows of a table as float64, a block at a time; can be walked more than once."""

    vectors: np.ndarray  # (V, D)
    chosen: np.ndarray  # (V,) bool

    def __iter__(self) -> Iterator[np.ndarray]:
        for rows in row_slices(*self.vectors.shape):
            if self.chosen[rows].any():
                yield self.vectors[rows][self.chosen[rows]].astype(np.float64)

    def __len__(self) -> int:
        return int(self.chosen.sum())

    @property
    def width(self) -> int:
        """D."""
        return self.vectors.shape[1]

    def mean(self) -> np.ndarray:
        """(D,) mean of the chosen rows."""
        return sum((block.sum(0) for block in self), np.zeros(self.width)) / len(self)
