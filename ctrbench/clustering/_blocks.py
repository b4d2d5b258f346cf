"""Walk over vectors that may be a memory map, some rows in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK_BYTES = 1 << 26


def block_rows(vectors: np.ndarray) -> int:
    """How many float32 rows of (n, D) vectors are 64 MiB."""
    return max(1, BLOCK_BYTES // (4 * vectors.shape[1]))


def blocks(vectors: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Consecutive rows of (n, D) vectors as float32, 64 MiB at a time, and which they are."""
    step = block_rows(vectors)
    for start in range(0, len(vectors), step):
        rows = slice(start, min(start + step, len(vectors)))
        yield rows, np.ascontiguousarray(vectors[rows], np.float32)
