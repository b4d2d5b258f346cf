"""One code per item: k-means by faiss, its variants for many centres, and the codes they give."""

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
FIRST_PER_CENTRE = 16  # vectors of the first chunk for each centre
FIRST_SHARE = 1 / 32  # of all vectors, at least
BLOCK_BYTES = 1 << 26  # of float32 vectors
GROWTH = 2.0  # of a chunk over the one before


def fit_codebook(
    vectors: np.ndarray,
    codebook_size: int,
    seed: int,
    *,
    spherical: bool = False,
    name: str = "codebook",
) -> np.ndarray:
    """Cluster centres.

    Args:
        vectors: (n, D) float32; a memory map will do, and is read in parts.
        codebook_size: K, at most the number of distinct vectors.
        seed: of the cell; the codebook draws from a stream of its own.
        spherical: centres are of length one, as vectors then should be.
        name: of that stream.

    Returns:
        (K, D) float32.

    Raises:
        DataError: fewer distinct vectors than centres.
    """
    import faiss

    distinct = count_distinct(vectors)
    if distinct == 1:  # a constant control: every item gets the same code
        return np.repeat(np.asarray(vectors[:1], np.float32), codebook_size, axis=0)
    if distinct < codebook_size:
        raise DataError(
            f"codebook_size {codebook_size} asks for more centres than there are distinct vectors "
            f"to fit them on ({distinct}, of {len(vectors)} items); choose at most {distinct}."
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
    """(n,) int64 index of the nearest centre of each (n, D) vector, Euclidean."""
    import faiss

    index = faiss.IndexFlatL2(codebook.shape[1])
    index.add(np.ascontiguousarray(codebook))  # pyright: ignore[reportCallIssue]
    _, code = index.search(np.ascontiguousarray(vectors), 1)  # pyright: ignore[reportCallIssue]
    return code[:, 0]


def fit_hierarchical(vectors: np.ndarray, codebook_size: int, seed: int) -> np.ndarray:
    """Centres, near to those of k-means at a fraction of its time.

    About sqrt(K) coarse centres, and within each cluster as many as it has a share of the vectors:
    two fits of sqrt(K) centres a vector in place of one of K. The result is a plain codebook; a
    vector's code is its nearest centre of all.

    Source: Nistér and Stewénius 2006 (CVPR), with two levels.

    Args:
        vectors: (n, D) float32; of a memory map one cluster at a time is held.
        codebook_size: K.
        seed: of the cell.

    Returns:
        (K, D) float32.

    Raises:
        DataError: fewer distinct vectors than centres.
    """
    branches = int(np.ceil(np.sqrt(codebook_size)))
    coarse = fit_codebook(vectors, branches, seed, name="codebook.coarse")
    parts = blocks(len(vectors), _block_rows(vectors))
    code = np.concatenate([nearest_code(_float32(vectors[rows]), coarse) for rows in parts])
    order = np.argsort(code, kind="stable")
    begin = np.searchsorted(code[order], np.arange(branches + 1))
    members = [order[begin[place] : begin[place + 1]] for place in range(branches)]
    distinct = np.array([count_distinct(vectors[own]) if len(own) else 0 for own in members])
    if distinct.sum() < codebook_size:  # k-means says so better
        return fit_codebook(vectors, codebook_size, seed)
    shares = _shares(np.diff(begin), distinct, codebook_size)
    found = [
        fit_codebook(vectors[own], int(share), seed, name=f"codebook.fine.{place}")
        for place, (own, share) in enumerate(zip(members, shares, strict=True))
        if share
    ]
    return np.concatenate(found)


def _shares(size: np.ndarray, distinct: np.ndarray, total: int) -> np.ndarray:
    """How many centres each cluster gets: by its size, no more than it can use.

    >>> _shares(np.array([6, 3, 1]), np.array([2, 3, 1]), 5).tolist()
    [2, 2, 1]
    """
    shares = np.minimum(np.maximum(size > 0, (size * total) // size.sum()), distinct)
    while shares.sum() != total:
        if shares.sum() > total:
            shares[np.argmax(shares)] -= 1
        else:
            free = shares < distinct
            wanting = np.where(free, size / (shares + 1), -np.inf)
            shares[np.argmax(wanting)] += 1
    return shares


def fit_single_pass(
    vectors: np.ndarray, codebook_size: int, seed: int, threshold: float = 0.0
) -> np.ndarray:
    """Centres that see each vector once, whatever order the vectors are stored in.

    K-means on a first chunk gives the start. Then come disjoint chunks, each twice the one before;
    within a chunk centres stand still, after it each becomes the soft-thresholded mean of its
    vectors there. A centre without vectors stays. A chunk's rows are drawn from
    all of the table and read in its order, so a table sorted by category serves as a shuffled one.

    Source: after Yi et al. 2014 (ICML), "A Single-Pass Algorithm for Efficiently Recovering Sparse
    Cluster Centers of High-dimensional Data". There the start is any K vectors and the threshold is
    what finds sparse centres; image vectors are dense, so it is 0 unless given.

    Args:
        vectors: (n, D) float32; of a memory map the first chunk, then 64 MiB, are held.
        codebook_size: K.
        seed: of the cell.
        threshold: of the first chunk; it falls with the root of a chunk's size.

    Returns:
        (K, D) float32.

    Raises:
        DataError: fewer distinct vectors in the first chunk than centres.
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
        met = count > 0
        mean = total[met] / count[met, None]
        least = threshold * (len(first) / len(chunk)) ** 0.5
        centres[met] = np.sign(mean) * np.maximum(np.abs(mean) - least, 0)
    return centres


def _block_rows(vectors: np.ndarray) -> int:
    return rows_within(4 * vectors.shape[1], BLOCK_BYTES)


def _float32(vectors: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(vectors, np.float32)


def _chunks(rows: int, codebook_size: int, seed: int) -> Iterator[np.ndarray]:
    """Disjoint ascending row numbers, every row in one chunk."""
    order = stream(seed, "codebook.order").permutation(rows)
    size = max(FIRST_PER_CENTRE * codebook_size, FIRST_SHARE * rows)
    start = 0
    while start < rows:
        stop = start + int(np.ceil(size))
        size *= GROWTH
        if stop + size > rows:  # what is left would be a smaller chunk
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
    """(K, D) float32 centres of (n, D) vectors.

    Raises:
        DataError: fewer distinct vectors than centres.
    """
    return METHODS[method](vectors, codebook_size, seed)
