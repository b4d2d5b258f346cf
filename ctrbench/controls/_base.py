"""The contract of a control."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from ctrbench.schema import EmbeddingTable


class NullVersion(ABC):
    """A way to take the images' information out of a table."""

    takes_groups: ClassVar[bool] = False  # whether `within` means anything to it

    @abstractmethod
    def vectors(self, table: EmbeddingTable, seed: int, groups: np.ndarray | None) -> np.ndarray:
        """New vectors (V, D) in the table's type, zero where it has none.

        Args:
            table: often a memory map; is not changed.
            seed: names the streams that chance is drawn from.
            groups: (V,) codes of the `within` field, only for controls that take them.
        """
