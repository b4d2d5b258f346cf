"""`random`: Gaussian directions of the same norms; a second, hashed item id and no image."""

from __future__ import annotations

import numpy as np

from ctrbench.controls._base import NullVersion
from ctrbench.schema import EmbeddingTable
from ctrbench.seeding import stream

BLOCK_ROWS = 1 << 13


class Random(NullVersion):
    """An item's direction depends on the seed and its id, not on who else has a vector."""

    def vectors(self, table: EmbeddingTable, seed: int, groups: np.ndarray | None) -> np.ndarray:
        """See `NullVersion`."""
        draw, made = stream(seed, "control", "random"), np.empty_like(table.vectors, subok=False)
        for start in range(0, len(made), BLOCK_ROWS):
            given = table.vectors[start : start + BLOCK_ROWS].astype(np.float64)
            direction = draw.standard_normal(given.shape)
            direction /= np.linalg.norm(direction, axis=1, keepdims=True)
            norm = np.linalg.norm(given, axis=1, keepdims=True)  # 0 where there is no vector
            made[start : start + BLOCK_ROWS] = direction * norm
        return made
