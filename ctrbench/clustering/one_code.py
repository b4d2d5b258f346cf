"""One code per item: k-means by faiss, and variants for many centres."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

import numpy as np

from ctrbench.arrays import blocks, rows_within
from ctrbench.clustering.facts import count_distinct
from ctrbench.errors import DataError
from ctrbench.seeding import stream, stream_seed

Method = Literal["kmeans", "spherical", "hierarchical", "single_pass"]

ITERATIONS = 25  # Lloyd steps
FIRST_PER_CENTRE = 16  # size of the first chunk, in vectors per centre
FIRST_SHARE = 1 / 32  # smallest size of the first chunk, as a share of all vectors
BLOCK_BYTES = 1 << 26  # of float32 vectors
GROWTH = 2.0  # size of a chunk relative to the previous chunk


def fit_codebook(
    vectors: np.ndarray,
    codebook_size: int,
    seed: int,
    *,
    spherical: bool = False,
    name: str = "codebook",
) -> np.ndarray:
    """Return the cluster centres of k-means, (K, D) float32.

    Args:
        vectors: (n, D) float32, possibly a memory map.
        codebook_size: K, at most the number of distinct vectors.
        seed: The seed of the cell; the codebook uses its own random stream.
        spherical: Whether to normalise the centres; the vectors should then have length one.
        name: The name of the random stream.

    Raises:
        DataError: There are fewer distinct vectors than centres.
    """
    import faiss

    distinct = count_distinct(vectors)
    if distinct == 1:  # the control `constant`: every item gets the same code
        return np.repeat(np.asarray(vectors[:1], np.float32), codebook_size, axis=0)
    if distinct < codebook_size:
        raise DataError(
            f"codebook_size {codebook_size} exceeds the number of distinct vectors to fit it on "
            f"({distinct}, of {len(vectors)} items); choose at most {distinct}."
        )
    kmeans = faiss.Kmeans(
        vectors.shape[1],
        codebook_size,
        niter=ITERATIONS,
        seed=stream_seed(seed, name) % 2**31,
        spherical=spherical,
        min_points_per_centroid=1,
        max_points_per_centroid=max(256, -(-len(vectors) // codebook_size)),
    )
    kmeans.train(np.ascontiguousarray(vectors))
    return np.asarray(kmeans.centroids)


def nearest_code(vectors: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Return the index of the nearest centre (Euclidean) of each vector, (n,) int64.

    Args:
        vectors: (n, D) float32.
        codebook: (K, D) float32, the centres.
    """
    import faiss

    index = faiss.IndexFlatL2(codebook.shape[1])
    index.add(np.ascontiguousarray(codebook))  # pyright: ignore[reportCallIssue]
    _, code = index.search(np.ascontiguousarray(vectors), 1)  # pyright: ignore[reportCallIssue]
    return code[:, 0]


def fit_hierarchical(vectors: np.ndarray, codebook_size: int, seed: int) -> np.ndarray:
    """Return the centres of two-level k-means, (K, D) float32.

    The first level has about sqrt(K) coarse centres. The second level divides the remaining budget
    among the coarse clusters in proportion to their size. Each vector is compared with about
    2 sqrt(K) centres instead of K. The result is a flat codebook: the code of a vector is the
    nearest of all centres.

    Args:
        vectors: (n, D) float32, possibly a memory map, of which one cluster at a time is in memory.
        codebook_size: K.
        seed: The seed of the cell.

    Raises:
        DataError: There are fewer distinct vectors than centres.

    Source: Nistér and Stewénius 2006 (CVPR), with two levels.
    """
    branches = int(np.ceil(np.sqrt(codebook_size)))
    coarse = fit_codebook(vectors, branches, seed, name="codebook.coarse")
    parts = blocks(len(vectors), _block_rows(vectors))
    code = np.concatenate([nearest_code(_float32(vectors[rows]), coarse) for rows in parts])
    order = np.argsort(code, kind="stable")
    begin = np.searchsorted(code[order], np.arange(branches + 1))
    members = [order[begin[place] : begin[place + 1]] for place in range(branches)]
    distinct = np.array([count_distinct(vectors[own]) if len(own) else 0 for own in members])
    if distinct.sum() < codebook_size:  # plain k-means raises the error with the numbers
        return fit_codebook(vectors, codebook_size, seed)
    shares = _shares(np.diff(begin), distinct, codebook_size)
    found = [
        fit_codebook(vectors[own], int(share), seed, name=f"codebook.fine.{place}")
        for place, (own, share) in enumerate(zip(members, shares, strict=True))
        if share
    ]
    return np.concatenate(found)


def _shares(size: np.ndarray, distinct: np.ndarray, total: int) -> np.ndarray:
    """Return the number of centres of each cluster: by size, limited by its distinct vectors.

    >>> _shares(np.array([6, 3, 1]), np.array([2, 3, 1]), 5).tolist()
    [2, 2, 1]
    """
    shares = np.minimum(np.maximum(size > 0, (size * total) // size.sum()), distinct)
    while shares.sum() != total:
        if shares.sum() > total:
            shares[np.argmax(shares)] -= 1
        else:
            free = shares < distinct
            priority = np.where(free, size / (shares + 1), -np.inf)
            shares[np.argmax(priority)] += 1
    return shares


def fit_single_pass(
    vectors: np.ndarray, codebook_size: int, seed: int, threshold: float = 0.0
) -> np.ndarray:
    """Return centres that are fitted in one pass over the vectors, (K, D) float32.

    K-means on the first chunk initialises the centres. Disjoint chunks follow, each twice as large
    as the previous one. After each chunk, a centre becomes the soft-thresholded mean of the chunk's
    vectors that are assigned to it; a centre without vectors does not move. The rows of a chunk are
    sampled from the whole table, so the result does not depend on the order of the table.

    Args:
        vectors: (n, D) float32, possibly a memory map, of which the first chunk and then 64 MiB are
            in memory.
        codebook_size: K.
        seed: The seed of the cell.
        threshold: The soft threshold after the first chunk; it decreases with the square root of
            the chunk size.

    Raises:
        DataError: The first chunk has fewer distinct vectors than centres.

    Source: adapted from Yi et al. 2014 (ICML), "A Single-Pass Algorithm for Efficiently Recovering
    Sparse Cluster Centers of High-dimensional Data". Differs from the paper: k-means replaces the
    initialisation by K arbitrary vectors, and the threshold is 0 by default since image vectors are
    dense.
    """
    chunks = _chunks(len(vectors), codebook_size, seed)
    first = next(chunks)
    centres = fit_codebook(np.asarray(vectors[first], np.float32), codebook_size, seed)
    for chunk in chunks:
        total, count = np.zeros(centres.shape), np.zeros(codebook_size, np.int64)
        for rows in np.array_split(chunk, -(-len(chunk) // _block_rows(vectors))):
            block = _float32(vectors[rows])
            code = nearest_code(block, centres)
            order = np.argsort(code, kind="stable")
            present, begin = np.unique(code[order], return_index=True)
            total[present] += np.add.reduceat(block[order], begin, axis=0, dtype=np.float64)
            count += np.bincount(code, minlength=codebook_size)
        assigned = count > 0
        mean = total[assigned] / count[assigned, None]
        shrinkage = threshold * (len(first) / len(chunk)) ** 0.5
        centres[assigned] = np.sign(mean) * np.maximum(np.abs(mean) - shrinkage, 0)
    return centres


def _block_rows(vectors: np.ndarray) -> int:
    return rows_within(4 * vectors.shape[1], BLOCK_BYTES)


def _float32(vectors: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(vectors, np.float32)


def _chunks(rows: int, codebook_size: int, seed: int) -> Iterator[np.ndarray]:
    """Yield disjoint chunks of ascending row numbers that together cover all rows."""
    order = stream(seed, "codebook.order").permutation(rows)
    size = max(FIRST_PER_CENTRE * codebook_size, FIRST_SHARE * rows)
    start = 0
    while start < rows:
        stop = start + int(np.ceil(size))
        size *= GROWTH
        if stop + size > rows:  # the last chunk includes the remainder
            stop = rows
        yield np.sort(order[start:stop])
        start = stop


METHODS: dict[Method, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "kmeans": fit_codebook,
    "spherical": partial(fit_codebook, spherical=True),
    "hierarchical": fit_hierarchical,
    "single_pass": fit_single_pass,
}


def fit_by(method: Method, vectors: np.ndarray, codebook_size: int, seed: int) -> np.ndarray:
    """Return the centres that a method fits, (K, D) float32.

    Args:
        method: The name of the method.
        vectors: (n, D) float32.
        codebook_size: K.
        seed: The seed of the cell.

    Raises:
        DataError: There are fewer distinct vectors than centres.
    """
    return METHODS[method](vectors, codebook_size, seed)
