"""`shuffled`: the same vectors, each at another item's place; `within` keeps a field's value."""

from __future__ import annotations

import numpy as np

from ctrbench.controls._base import NullVersion
from ctrbench.schema import EmbeddingTable
from ctrbench.seeding import stream


class Shuffled(NullVersion):
    """A uniform permutation among the items of equal code that have a vector."""

    takes_groups = True

    def vectors(self, table: EmbeddingTable, seed: int, groups: np.ndarray | None) -> np.ndarray:
        """See `NullVersion`."""
        items = np.flatnonzero(table.has_vector)
        code = np.zeros(len(items)) if groups is None else groups[items]
        chance = stream(seed, "control", "shuffled").random(len(items))
        made = np.zeros(table.vectors.shape, table.vectors.dtype)
        # both orders go group by group: one in the order of ids, the other by chance
        receiver, giver = np.argsort(code, kind="stable"), np.lexsort((chance, code))
        made[items[receiver]] = table.vectors[items[giver]]
        return made
