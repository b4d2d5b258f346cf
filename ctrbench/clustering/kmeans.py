"""K-means by faiss: Euclidean, or spherical."""

from __future__ import annotations

import numpy as np

from ctrbench.clustering._distinct import count_distinct
from ctrbench.errors import DataError
from ctrbench.seeding import stream_seed

ITERATIONS = 25  # Lloyd steps


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
