"""`constant`: every item with a vector gets the mean vector, so only coverage differs."""

from __future__ import annotations

import numpy as np

from ctrbench.arrays import blocks
from ctrbench.controls._base import NullVersion
from ctrbench.schema import EmbeddingTable

BLOCK_ROWS = 1 << 13  # partial sums over other blocks round differently


class Constant(NullVersion):
    """This control draws no random numbers: all seeds share it."""

    def vectors(self, table: EmbeddingTable, seed: int, groups: np.ndarray | None) -> np.ndarray:
        """See `NullVersion`."""
        has, total = np.asarray(table.has_vector), np.zeros(table.vectors.shape[1])
        for rows in blocks(len(has), BLOCK_ROWS):
            total += table.vectors[rows][has[rows]].sum(axis=0, dtype=np.float64)
        made = np.zeros(table.vectors.shape, table.vectors.dtype)
        made[has] = total / max(1, has.sum())
        return made
