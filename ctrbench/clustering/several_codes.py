"""Several codes per item: residual k-means, and product quantisation."""

from __future__ import annotations

import numpy as np

from ctrbench.clustering.facts import count_distinct
from ctrbench.clustering.one_code import fit_codebook, nearest_code


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
