"""Several codes per item: residual k-means and product quantisation."""

from __future__ import annotations

import numpy as np

from ctrbench.clustering.facts import count_distinct
from ctrbench.clustering.one_code import fit_codebook, nearest_code


def fit_residual(vectors: np.ndarray, levels: int, codebook_size: int, seed: int) -> np.ndarray:
    """Return the centres of residual k-means, (L, K, D) float32.

    If a later level has fewer distinct residuals than centres, these residuals become its centres
    and the last one is repeated.

    Args:
        vectors: (n, D) float32.
        levels: The number of levels, L.
        codebook_size: The number of centres of each level, K.
        seed: The seed of the cell.

    Raises:
        DataError: There are fewer distinct vectors than centres.
    """
    residual = np.array(vectors, np.float32)
    books = []
    for level in range(levels):
        if level and count_distinct(residual) < codebook_size:
            few = np.unique(residual, axis=0)
            book = np.concatenate([few, np.repeat(few[-1:], codebook_size - len(few), axis=0)])
        else:
            book = fit_codebook(residual, codebook_size, seed, name=f"codebook.{level}")
        books.append(book)
        residual -= book[nearest_code(residual, book)]
    return np.stack(books)


def residual_codes(vectors: np.ndarray, books: np.ndarray) -> np.ndarray:
    """Return the code of each vector on every level, (n, L) int64, assigned greedily.

    Args:
        vectors: (n, D) float32.
        books: (L, K, D) float32, the centres.
    """
    residual, codes = np.array(vectors, np.float32), []
    for book in books:
        codes.append(nearest_code(residual, book))
        residual -= book[codes[-1]]
    return np.stack(codes, axis=1)


def fit_product(
    vectors: np.ndarray, parts: int, codebook_size: int, seed: int
) -> tuple[np.ndarray, ...]:
    """Return the centres of each part of product quantisation, (K, width of the part) float32.

    If a part has fewer distinct values than centres, these values become its centres and the last
    one is repeated.

    Args:
        vectors: (n, D) float32.
        parts: The number of parts, P, at most D.
        codebook_size: The number of centres of each part, K, at most the number of distinct
            vectors.
        seed: The seed of the cell.

    Raises:
        DataError: There are fewer distinct vectors than centres.
    """
    books = []
    distinct = count_distinct(vectors)
    for place, part in enumerate(np.array_split(np.asarray(vectors, np.float32), parts, axis=1)):
        part = np.ascontiguousarray(part)
        if count_distinct(part) < codebook_size <= distinct:
            few = np.unique(part, axis=0)
            books.append(np.concatenate([few, few[[-1] * (codebook_size - len(few))]]))
        else:
            books.append(fit_codebook(part, codebook_size, seed, name=f"codebook.{place}"))
    return tuple(books)


def product_codes(vectors: np.ndarray, books: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the code of each part of each vector, (n, P) int64.

    Args:
        vectors: (n, D) float32.
        books: The centres of each part, (K, width of the part) float32.
    """
    widths = np.cumsum([book.shape[1] for book in books])[:-1]
    parts = np.split(np.asarray(vectors, np.float32), widths, axis=1)
    codes = [nearest_code(part, book) for part, book in zip(parts, books, strict=True)]
    return np.stack(codes, axis=1)
