"""Directions of vectors: detect zero vectors, and rescale vectors to avoid overflow."""

from __future__ import annotations

import numpy as np

SHORTEST = float(np.finfo(np.float32).tiny)  # below this length, float32 numbers lose digits
SQUARABLE = 2.0**-50, 2.0**50  # limits of the largest number of a vector whose squares fit float32


def has_direction(vectors: np.ndarray) -> np.ndarray:
    """Return whether each vector has a direction, (n,) bool; True for vectors with NaN.

    Args:
        vectors: (n, D) float.

    >>> has_direction(np.array([[0, 1e-30], [0, 0], [1e-40, 0]], np.float32)).tolist()
    [True, False, False]
    """
    return ~(np.linalg.norm(vectors.astype(np.float64), axis=1) < SHORTEST)


def bring_into_range(vectors: np.ndarray) -> None:
    """Rescale vectors whose squares do not fit float32, in place.

    The scale is a power of two, so no digit changes.

    Args:
        vectors: (n, D) float32.
    """
    largest = np.maximum(vectors.max(axis=1), -vectors.min(axis=1))
    low, high = SQUARABLE
    extreme = np.flatnonzero((largest > 0) & ((largest < low) | (largest > high)))
    exponent = np.frexp(largest[extreme])[1]
    vectors[extreme] = np.ldexp(vectors[extreme], -exponent[:, None])
