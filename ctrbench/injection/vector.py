"""The vector itself, through one linear layer, for the target and every history item."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import PositiveInt

from ctrbench.impressions.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Injection, Prepared

if TYPE_CHECKING:
    from torch import nn

    from ctrbench.impressions.packing import Batch


class Vector(Injection):
    """`W e` beside the ID embedding, in the attention unit and in the last MLP.

    An item without an image has a zero vector and a 1 in one further column.

    Source: COURIER, appendix section 1, "Vector".
    """

    width: PositiveInt = 16  # of the projection W e
    center: bool = False  # subtract the mean vector before normalising

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """Unit vectors."""
        missing = ~images.has_vector[:, None]
        return Prepared(
            item={
                "vector": images.unit(self.center),  # (V, D)
                "missing": missing.astype(np.float32),  # (V, 1)
            }
        )

    def layers(self, prepared: Prepared) -> dict[str, nn.Module]:
        """The projection W."""
        from torch import nn

        return {"projection": nn.Linear(prepared.item["vector"].shape[1], self.width, bias=False)}

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """The projected vector of each distinct item."""
        import torch

        projected = layers["projection"](batch.image_item["vector"])  # (U, width)
        return Injected(item=torch.cat([projected, batch.image_item["missing"]], dim=1))
