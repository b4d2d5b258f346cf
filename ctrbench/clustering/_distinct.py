"""How many different vectors there are, without sorting them."""

from __future__ import annotations

import numpy as np

BLOCK_ROWS = 1 << 14


def count_distinct(vectors: np.ndarray) -> int:
    """Distinct rows of (n, D) float32, by a 64-bit hash of each row's bits, in bounded memory."""
    odd = np.random.default_rng(0).integers(2**63, size=vectors.shape[1], dtype=np.uint64) * 2 + 1
    hashes = np.empty(len(vectors), np.uint64)
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = np.asarray(vectors[start : start + BLOCK_ROWS], np.float32) + np.float32(0)  # no -0
        bits = block.view(np.uint32).astype(np.uint64)
        mixed = (bits + 1) * odd
        mixed ^= mixed >> np.uint64(32)  # a product alone never lets high bits reach low ones
        hashes[start : start + len(block)] = (mixed * odd).sum(axis=1, dtype=np.uint64)
    return len(np.unique(hashes))
