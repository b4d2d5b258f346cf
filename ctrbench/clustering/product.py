"""Product quantisation: the vector is cut into parts, each with centres of its own."""

from __future__ import annotations

import numpy as np

from ctrbench.clustering._distinct import count_distinct
from ctrbench.clustering.kmeans import fit_codebook, nearest_code


def fit_product(
    vectors: np.ndarray, parts: int, codebook_size: int, seed: int
) -> tuple[np.ndarray, ...]:
    """Centres of every part: (K, D of the part) float32 each.

    A part that takes fewer different values than it has centres takes these and repeats the last.

    Args:
        vectors: (n, D) float32.
        parts: P, at most D.
        codebook_size: K of each part, at most the number of distinct vectors.
        seed: of the cell.

    Raises:
        DataError: fewer distinct vectors than centres.
    """
    books = []
    everything = count_distinct(vectors)
    for place, part in enumerate(np.array_split(np.asarray(vectors, np.float32), parts, axis=1)):
        part = np.ascontiguousarray(part)
        if count_distinct(part) < codebook_size <= everything:
            few = np.unique(part, axis=0)
            books.append(np.concatenate([few, few[[-1] * (codebook_size - len(few))]]))
        else:
            books.append(fit_codebook(part, codebook_size, seed, name=f"codebook.{place}"))
    return tuple(books)


def product_codes(vectors: np.ndarray, books: tuple[np.ndarray, ...]) -> np.ndarray:
    """(n, P) int64 code of each part of each (n, D) vector."""
    widths = np.cumsum([book.shape[1] for book in books])[:-1]
    parts = np.split(np.asarray(vectors, np.float32), widths, axis=1)
    codes = [nearest_code(part, book) for part, book in zip(parts, books, strict=True)]
    return np.stack(codes, axis=1)
