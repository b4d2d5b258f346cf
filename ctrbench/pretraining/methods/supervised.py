"""`supervised`: click prediction through the image encoder, as a simple reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from ctrbench.pretraining.methods._base import LineBatch, PretrainMethod

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrbench.distributed import Processes


class Supervised(PretrainMethod):
    """Predicts clicks by an MLP on the shown image, the mean clicked image and their product."""

    samples: ClassVar[Literal["lines", "items"]] = "lines"

    def layers(self, width: int, titles: list[str] | None) -> dict[str, nn.Module]:
        """See `PretrainMethod`."""
        from ctrbench.pretraining.methods._layers import mlp

        return {"click": mlp(3 * width, width, 1)}

    def loss(
        self, layers: nn.ModuleDict, vectors: Tensor, batch: LineBatch, across: Processes
    ) -> dict[str, Tensor]:
        """See `PretrainMethod`."""
        import torch
        import torch.nn.functional as F

        from ctrbench.pretraining.methods._losses import mean_over_all

        (vectors,) = vectors
        filled = (batch.history >= 0).to(vectors.dtype)[..., None]  # (L, H, 1)
        clicked = vectors[batch.history.clamp(min=0)] * filled
        mean = clicked.sum(dim=1) / filled.sum(dim=1)  # (L, D)
        present = batch.shown >= 0
        shown = vectors[batch.shown[present]]  # (N, D)
        line = present.nonzero()[:, 0]
        logit = layers["click"](torch.cat([shown, mean[line], shown * mean[line]], dim=1))[:, 0]
        click = batch.click[present].float()
        each = F.binary_cross_entropy_with_logits(logit, click, reduction="none")
        return {"prediction": mean_over_all(each, across)}
