"""`simsiam`: each view of an image predicts the other view, without negatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveInt

from ctrbench.pretraining.methods._base import ItemBatch, PretrainMethod

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrbench.distributed import Processes


class SimSiam(PretrainMethod):
    """Predicts one view from the other; a stopped gradient prevents collapse.

    Source: Chen and He 2021, arXiv:2011.10566, algorithm 1 and section 3 (baseline settings). The
    batch normalisation of the last projection layer has no scale and shift.
    """

    augmented: ClassVar[bool] = True

    bottleneck: PositiveInt = 64  # of the predictor
    stop_gradient: bool = True  # False: vectors collapse

    def layers(self, width: int, titles: list[str] | None) -> dict[str, nn.Module]:
        """See `PretrainMethod`."""
        from ctrbench.distributed import BatchNorm
        from ctrbench.pretraining.methods._layers import mlp

        projection = mlp(width, width, width, width, normalised=True)
        projection.append(BatchNorm(width, affine=False))
        found: dict[str, nn.Module] = {"projection": projection}
        found["predictor"] = mlp(width, self.bottleneck, width, normalised=True)
        return found

    def loss(
        self, layers: nn.ModuleDict, vectors: Tensor, batch: ItemBatch, across: Processes
    ) -> dict[str, Tensor]:
        """See `PretrainMethod`."""
        from ctrbench.pretraining.methods._losses import cosines, mean_over_all

        seen = [layers["projection"](view) for view in vectors]
        terms = []
        for own, other in (seen, reversed(seen)):
            towards = other.detach() if self.stop_gradient else other
            terms.append(-cosines(layers["predictor"](own), towards) / 2)
        one, two = (mean_over_all(term, across) for term in terms)
        return {"similarity": one + two}
