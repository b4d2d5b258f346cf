"""Residual k-means: each level's centres are fitted on what the levels before left over."""

from __future__ import annotations

import numpy as np

from ctrbench.clustering._distinct import count_distinct
from ctrbench.clustering.kmeans import fit_codebook, nearest_code


def fit_residual(vectors: np.ndarray, levels: int, codebook_size: int, seed: int) -> np.ndarray:
    """Centres of every level: (L, K, D) float32.

    A level on which fewer different remainders are left than it has centres takes these and repeats
    the last: vectors that are all reconstructed exactly need no more.

    Args:
        vectors: (n, D) float32.
        levels: L.
        codebook_size: K of each level.
        seed: of the cell.

    Raises:
        DataError: fewer distinct vectors than centres.
    """
    left = np.array(vectors, np.float32)
    books = []
    for level in range(levels):
        if level and count_distinct(left) < codebook_size:
            few = np.unique(left, axis=0)
            book = np.concatenate([few, np.repeat(few[-1:], codebook_size - len(few), axis=0)])
        else:
            book = fit_codebook(left, codebook_size, seed, name=f"codebook.{level}")
        books.append(book)
        left -= book[nearest_code(left, book)]
    return np.stack(books)


def residual_codes(vectors: np.ndarray, books: np.ndarray) -> np.ndarray:
    """(n, L) int64 code of each (n, D) vector on every level, greedily."""
    left, codes = np.array(vectors, np.float32), []
    for book in books:
        codes.append(nearest_code(left, book))
        left -= book[codes[-1]]
    return np.stack(codes, axis=1)
