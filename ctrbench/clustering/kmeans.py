"""Euclidean k-means by faiss."""

from __future__ import annotations

import numpy as np

from ctrbench.errors import DataError
from ctrbench.seeding import stream_seed

ITERATIONS = 25  # Lloyd steps


def fit_codebook(vectors: np.ndarray, codebook_size: int, seed: int) -> np.ndarray:
    """Cluster centres.

    Args:
        vectors: (n, D) float32.
        codebook_size: K, at most the number of distinct vectors.
        seed: of the cell; the codebook draws from a stream of its own.

    Returns:
        (K, D) float32.

    Raises:
        DataError: fewer distinct vectors than centres.
    """
    import faiss

    distinct = len(np.unique(vectors, axis=0))
    if distinct == 1:  # a constant control: every item gets the same code
        return np.repeat(vectors[:1], codebook_size, axis=0)
    if distinct < codebook_size:
        raise DataError(
            f"codebook_size {codebook_size} asks for more centres than there are distinct vectors "
            f"to fit them on ({distinct}, of {len(vectors)} items); choose at most {distinct}."
        )
    kmeans = faiss.Kmeans(
        vectors.shape[1],
        codebook_size,
        niter=ITERATIONS,
        seed=stream_seed(seed, "codebook") % 2**31,
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


def code_facts(code: np.ndarray, codebook_size: int) -> dict[str, float]:
    """How a codebook is used: share of codes in use, entropy in bits, share of the largest.

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
