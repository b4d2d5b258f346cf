"""Walk over (n, D) vectors that may be a memory map, and count the distinct ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK_BYTES = 1 << 26
HASHED_ROWS = 1 << 14  # hashed at once


def block_rows(vectors: np.ndarray) -> int:
    """How many float32 rows of (n, D) vectors are 64 MiB."""
    return max(1, BLOCK_BYTES // (4 * vectors.shape[1]))


def blocks(vectors: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Consecutive rows of (n, D) vectors as float32, 64 MiB at a time, and which they are."""
    step = block_rows(vectors)
    for start in range(0, len(vectors), step):
        rows = slice(start, min(start + step, len(vectors)))
        yield rows, np.ascontiguousarray(vectors[rows], np.float32)


def count_distinct(vectors: np.ndarray) -> int:
    """Distinct rows of (n, D) float32, by a 64-bit hash of each row's bits, in bounded memory."""
    odd = np.random.default_rng(0).integers(2**63, size=vectors.shape[1], dtype=np.uint64) * 2 + 1
    hashes = np.empty(len(vectors), np.uint64)
    for start in range(0, len(vectors), HASHED_ROWS):
        block = np.asarray(vectors[start : start + HASHED_ROWS], np.float32) + np.float32(
            0
        )  # no -0
        bits = block.view(np.uint32).astype(np.uint64)
        mixed = (bits + 1) * odd
        mixed ^= mixed >> np.uint64(32)  # a product alone never lets high bits reach low ones
        hashes[start : start + len(block)] = (mixed * odd).sum(axis=1, dtype=np.uint64)
    return len(np.unique(hashes))
