"""Items that can trade their vectors."""

from __future__ import annotations

import numpy as np


def alone(has_vector: np.ndarray, groups: np.ndarray) -> int:
    """How many items are the only one of their group with a vector: shuffling leaves them alone.

    Args:
        has_vector: (V,) bool.
        groups: (V,) codes; 0, the missing value, is a group like any other.

    >>> alone(np.array([False, True, True, True, False]), np.array([0, 1, 1, 2, 2]))
    1
    """
    return int((np.unique(groups[has_vector], return_counts=True)[1] == 1).sum())
