"""Ways to fit one codebook, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from ctrbench.clustering.hierarchical import fit_hierarchical
from ctrbench.clustering.kmeans import fit_codebook
from ctrbench.clustering.single_pass import fit_single_pass

Method = Literal["kmeans", "spherical", "hierarchical", "single_pass"]

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
