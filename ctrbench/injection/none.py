"""The baseline: no image information."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench.impressions.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Injection, Prepared

if TYPE_CHECKING:
    from torch import nn

    from ctrbench.impressions.packing import Batch


class NoInjection(Injection):
    """Adds nothing: the model every delta is measured against."""

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """Nothing to prepare."""
        return Prepared()

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """Nothing to add."""
        return Injected()
