"""Statistics about codes, and the number of distinct vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ctrbench.arrays import blocks

HASHED_ROWS = 1 << 14


def code_facts(code: np.ndarray, codebook_size: int) -> dict[str, float]:
    """Return usage statistics of a codebook.

    Args:
        code: (n,) int, the code of each item.
        codebook_size: The number of codes, K.

    Returns:
        The share of codes in use, the entropy in bits, and the share of items with the most
        frequent code.

    >>> code_facts(np.array([0, 0, 1, 1]), 4)
    {'codes_used': 0.5, 'code_entropy_bits': 1.0, 'largest_code': 0.5}
    """
    share = np.bincount(code, minlength=codebook_size) / max(len(code), 1)
    used = share[share > 0]
    return {
        "codes_used": float(len(used) / codebook_size),
        "code_entropy_bits": float(-(used * np.log2(used)).sum()),
        "largest_code": float(share.max()),
    }


def level_facts(code: np.ndarray, codebook_size: int | Sequence[int]) -> dict[str, float]:
    """Return `code_facts` of every level, and the share of items whose codes are not unique.

    Args:
        code: (n, L) int, the codes of each item.
        codebook_size: The number of codes of a level, K; one number per level if they differ.

    >>> level_facts(np.array([[0, 1], [0, 1], [1, 1], [1, 0]]), 2)["collisions"]
    0.5
    """
    levels = code.shape[1]
    sizes = [codebook_size] * levels if isinstance(codebook_size, int) else codebook_size
    facts = {
        f"{name}_{level}": value
        for level, (own, size) in enumerate(zip(code.T, sizes, strict=True), start=1)
        for name, value in code_facts(own, size).items()
    }
    return facts | {"collisions": collisions(code)}


def collisions(code: np.ndarray) -> float:
    """Return the share of items whose codes, (n,) or (n, L), equal those of another item."""
    _, place, count = np.unique(code, axis=0, return_inverse=True, return_counts=True)
    return float((count[place.ravel()] > 1).mean()) if len(code) else 0.0


def count_distinct(vectors: np.ndarray) -> int:
    """Return the number of distinct rows, by a 64-bit hash of the bits of each row.

    Args:
        vectors: (n, D) float32, possibly a memory map, read in blocks.
    """
    odd = np.random.default_rng(0).integers(2**63, size=vectors.shape[1], dtype=np.uint64) * 2 + 1
    hashes = np.empty(len(vectors), np.uint64)
    for rows in blocks(len(vectors), HASHED_ROWS):
        block = np.asarray(vectors[rows], np.float32) + np.float32(0)  # -0 becomes 0
        bits = block.view(np.uint32).astype(np.uint64)
        mixed = (bits + 1) * odd
        mixed ^= mixed >> np.uint64(32)  # a product never carries high bits to low bits
        hashes[rows] = (mixed * odd).sum(axis=1, dtype=np.uint64)
    return len(np.unique(hashes))
