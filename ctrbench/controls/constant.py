"""`constant`: every item with a vector gets the mean vector, so only coverage differs."""

from __future__ import annotations

import numpy as np

from ctrbench.arrays import SelectedRows
from ctrbench.controls._base import NullVersion
from ctrbench.schema import EmbeddingTable


class Constant(NullVersion):
    """This control draws no random numbers: all seeds share it."""

    def vectors(self, table: EmbeddingTable, seed: int, groups: np.ndarray | None) -> np.ndarray:
        """See `NullVersion`."""
        has, made = np.asarray(table.has_vector), np.zeros(table.vectors.shape, table.vectors.dtype)
        if has.any():
            made[has] = SelectedRows(table.vectors, has).mean()
        return made

    def codes(self, table: EmbeddingTable, seed: int, groups: np.ndarray | None) -> np.ndarray:
        """Give every item the codes of the first item that has some."""
        has, made = np.asarray(table.has_vector), np.zeros_like(table.vectors, subok=False)
        if has.any():
            made[has] = table.vectors[has.argmax()]
        return made
