"""`none`: the baseline, without image information."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctrbench.batches.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Injection, Prepared

if TYPE_CHECKING:
    from torch import nn

    from ctrbench.batches.packing import Batch


class NoInjection(Injection):
    """The baseline model, against which deltas are measured."""

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """Return nothing."""
        return Prepared()

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """Return nothing."""
        return Injected()

    def encoder(self, images: Images, seed: int) -> dict[str, np.ndarray]:
        """Return nothing."""
        return {}
