"""Centres from one reading of the vectors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrbench.clustering._blocks import block_rows
from ctrbench.clustering.kmeans import fit_codebook, nearest_code
from ctrbench.seeding import stream

FIRST_PER_CENTRE = 16  # vectors of the first chunk for each centre
FIRST_SHARE = 1 / 32  # of all vectors, at least
GROWTH = 2.0  # of a chunk over the one before


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
        for rows in np.array_split(chunk, -(-len(chunk) // block_rows(vectors))):
            block = np.ascontiguousarray(vectors[rows], np.float32)
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
