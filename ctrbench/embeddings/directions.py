"""Vectors as directions: which vectors have one, and how it is kept where squares would not be."""

from __future__ import annotations

import numpy as np

SHORTEST = float(np.finfo(np.float32).tiny)  # below it, numbers lose their digits
SQUARABLE = 2.0**-50, 2.0**50  # largest numbers of a vector whose squares float32 holds


def has_direction(vectors: np.ndarray) -> np.ndarray:
    """(n,) bool: whether a vector is long enough to point anywhere; NaN is left to others.

    >>> has_direction(np.array([[0, 1e-30], [0, 0], [1e-40, 0]], np.float32)).tolist()
    [True, False, False]
    """
    return ~(np.linalg.norm(vectors.astype(np.float64), axis=1) < SHORTEST)


def bring_into_range(vectors: np.ndarray) -> None:
    """Scale vectors whose squares float32 does not hold, in place; all others stay as they are.

    The scale is a power of two, so that every digit stays.

    Args:
        vectors: (n, D) float32.
    """
    largest = np.maximum(vectors.max(axis=1), -vectors.min(axis=1))
    low, high = SQUARABLE
    extreme = np.flatnonzero((largest > 0) & ((largest < low) | (largest > high)))
    exponent = np.frexp(largest[extreme])[1]
    vectors[extreme] = np.ldexp(vectors[extreme], -exponent[:, None])
