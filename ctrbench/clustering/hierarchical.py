"""Centres of a large codebook: k-means within the clusters of a small one."""

from __future__ import annotations

import numpy as np

from ctrbench.clustering._blocks import blocks
from ctrbench.clustering._distinct import count_distinct
from ctrbench.clustering.kmeans import fit_codebook, nearest_code


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
    code = np.concatenate([nearest_code(block, coarse) for _, block in blocks(vectors)])
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
