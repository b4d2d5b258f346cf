"""`random`: Gaussian directions with the real norms; they act as a second, hashed item id."""

from __future__ import annotations

import numpy as np

from ctrbench.arrays import table_blocks
from ctrbench.controls._base import NullVersion
from ctrbench.schema import EmbeddingTable
from ctrbench.seeding import stream


class Random(NullVersion):
    """The direction of an item depends on the seed and on its id, not on the other vectors."""

    def vectors(self, table: EmbeddingTable, seed: int, groups: np.ndarray | None) -> np.ndarray:
        """See `NullVersion`."""
        draw, made = stream(seed, "control", "random"), np.empty_like(table.vectors, subok=False)
        for rows in table_blocks(table.vectors.shape):
            given = table.vectors[rows].astype(np.float64)
            direction = draw.standard_normal(given.shape)
            direction /= np.linalg.norm(direction, axis=1, keepdims=True)
            norm = np.linalg.norm(given, axis=1, keepdims=True)  # 0 where there is no vector
            made[rows] = direction * norm
        return made

    def codes(self, table: EmbeddingTable, seed: int, groups: np.ndarray | None) -> np.ndarray:
        """Draw the codes of each level independently, with the frequencies of the real ones."""
        draw, made = stream(seed, "control", "random"), np.zeros_like(table.vectors, subok=False)
        given = table.vectors[table.has_vector]
        for level in range(made.shape[1]):
            made[table.has_vector, level] = draw.choice(given[:, level], len(given))
        return made
