"""`simclr`: contrastive learning of two random views of each image."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveFloat

from ctrbench.pretraining.methods._base import ItemBatch, PretrainMethod

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrbench.distributed import Processes


class SimClr(PretrainMethod):
    """Each view identifies the other view of its image, on a projection that is discarded.

    Source: Chen et al. 2020, arXiv:2002.05709.
    """

    augmented: ClassVar[bool] = True

    temperature: PositiveFloat = 0.2
    projection: bool = True

    def layers(self, width: int, titles: list[str] | None) -> dict[str, nn.Module]:
        """See `PretrainMethod`."""
        from ctrbench.pretraining.methods._layers import mlp

        return {"projection": mlp(width, width, width)} if self.projection else {}

    def loss(
        self, layers: nn.ModuleDict, vectors: Tensor, batch: ItemBatch, across: Processes
    ) -> dict[str, Tensor]:
        """See `PretrainMethod`."""
        from ctrbench.pretraining.methods._losses import nt_xent

        one, two = (layers["projection"](view) for view in vectors) if self.projection else vectors
        return {"contrast": nt_xent(one, two, self.temperature, across)}
