"""`shuffled`: permutes the vectors over items, optionally within the values of an item field."""

from __future__ import annotations

import numpy as np

from ctrbench.controls._base import NullVersion
from ctrbench.schema import EmbeddingTable
from ctrbench.seeding import stream


class Shuffled(NullVersion):
    """Permutes vectors uniformly among the items that have a vector and the same code."""

    takes_groups = True
    permutes = True
    is_reference = True

    def vectors(self, table: EmbeddingTable, seed: int, groups: np.ndarray | None) -> np.ndarray:
        """See `NullVersion`."""
        items = np.flatnonzero(table.has_vector)
        code = np.zeros(len(items)) if groups is None else groups[items]
        chance = stream(seed, "control", "shuffled").random(len(items))
        made = np.zeros(table.vectors.shape, table.vectors.dtype)
        # both orders are sorted by group; within a group one follows the ids, the other is random
        receiver, giver = np.argsort(code, kind="stable"), np.lexsort((chance, code))
        made[items[receiver]] = table.vectors[items[giver]]
        return made
