"""`courier`: contrastive reconstruction of shown images from previously clicked images."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveFloat, model_validator

from ctrbench.pretraining.methods._base import LineBatch, PretrainMethod

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrbench.distributed import Processes


class Courier(PretrainMethod):
    """Contrastive user intention reconstruction.

    The loss has three terms. `contrast`: the reconstruction of a clicked image identifies this
    image among all shown images. `prediction`: image and reconstruction predict the click.
    `sequence`: the reconstruction from the clicks before a click identifies it among all clicks.

    Source: Yang et al. 2023, arXiv:2306.05001, section 3 and appendix. Differs from the released
    code, which divides the cosines of the sequence term by 20 instead of 0.05, attends to padding
    and uses padding as negatives.
    """

    samples: ClassVar[Literal["lines", "items"]] = "lines"

    temperature: PositiveFloat = 0.05
    contrast: NonNegativeFloat = 1.0  # weight of the term
    prediction: NonNegativeFloat = 1.0
    sequence: NonNegativeFloat = 1.0
    negatives: bool = True  # False: cosine loss without negatives, which collapses
    query: Literal["target", "token"] = "target"  # token: learned, independent of the target
    projection: bool = False  # compute losses on the output of an MLP, which is discarded

    @model_validator(mode="after")
    def _has_a_term(self) -> Courier:
        if not (self.contrast or self.prediction or self.sequence):
            raise ValueError("one of contrast, prediction and sequence must be above 0")
        return self

    def layers(self, width: int, titles: list[str] | None) -> dict[str, nn.Module]:
        """See `PretrainMethod`."""
        from ctrbench.pretraining.methods._layers import Reconstruction, mlp

        found: dict[str, nn.Module] = {"reconstruction": Reconstruction(width, self.query)}
        if self.prediction:
            found["click"] = mlp(2 * width, width, 1)
        if self.projection:
            found["projection"] = mlp(width, width, width)
        return found

    def loss(
        self, layers: nn.ModuleDict, vectors: Tensor, batch: LineBatch, across: Processes
    ) -> dict[str, Tensor]:
        """See `PretrainMethod`."""
        import torch
        import torch.nn.functional as F

        from ctrbench.pretraining.methods._losses import mean_over_all

        (vectors,) = vectors
        if self.projection:
            vectors = layers["projection"](vectors)
        item = torch.from_numpy(batch.item_id).to(vectors.device)
        filled = batch.shown >= 0
        place, click = batch.shown[filled], batch.click[filled]  # (N,)
        shown = vectors[place]
        made = layers["reconstruction"](vectors, batch.shown, batch.history)[filled]
        terms = {}
        if self.contrast:
            clicked = click.nonzero()[:, 0]
            terms["contrast"] = self.contrast * self._identification(
                made[clicked], shown, item[place], clicked, across
            )
        if self.prediction:
            logit = layers["click"](torch.cat([made, shown], dim=1))[:, 0]
            each = F.binary_cross_entropy_with_logits(logit, click.float(), reduction="none")
            terms["prediction"] = self.prediction * mean_over_all(each, across)
        if self.sequence:
            made = layers["reconstruction"](vectors, batch.target[:, None], batch.earlier)[:, 0]
            terms["sequence"] = self.sequence * self._identification(
                made,
                vectors[batch.target],
                item[batch.target],
                torch.arange(len(made), device=made.device),
                across,
            )
        return terms

    def _identification(
        self, made: Tensor, images: Tensor, item: Tensor, own: Tensor, across: Processes
    ) -> Tensor:
        """Return the loss of identifying the images (N, D) of reconstructions (M, D)."""
        from ctrbench.pretraining.methods._losses import cosines, info_nce, mean_over_all

        if self.negatives:
            return info_nce(made, images, item, own, self.temperature, across)
        return mean_over_all(1 - cosines(made, images[own]), across)
