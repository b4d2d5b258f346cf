"""Similarity in the attention itself: images say where to look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from ctrbench.impressions.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Injection, Prepared
from ctrbench.injection._similarity import slot_cosines
from ctrbench.settings import ModelSettings, RateFactor

if TYPE_CHECKING:
    from torch import nn

    from ctrbench.impressions.packing import Batch


class SimAttention(Injection):
    """The attention logit `a` becomes `g1 a + g2 s + g3 a s` with `s = cos(e_t, e_hk) / tau`.

    All four numbers are learned and reported. Where an image is missing s is 0. The model has to
    divide its attention by a softmax, and so has its baseline: set `attention_weights: softmax`.

    Source: the published code of MUSE (Taobao, multi-modal search for lifelong behaviour), whose
    starting values are not known to us: here g1 = 1, g3 = 0.
    """

    revision: ClassVar[int] = 2  # learning_rate_factor 3; 30 in revision 1

    learning_rate_factor: RateFactor = 3.0  # four numbers, which have far to go
    temperature: Annotated[float, Field(strict=True, ge=1e-6, le=1e6)] = 0.1  # start of tau
    similarity: Annotated[float, Field(strict=True, ge=-1e6, le=1e6)] = 0.1  # start of g2
    center: bool = False  # subtract the mean vector before normalising

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """Weights that are not divided by a softmax."""
        if model.attention_weights == "softmax":
            return []
        return ["it acts inside a softmax; set model: {attention_weights: softmax}"]

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """The cosine of every slot."""
        cosines = slot_cosines(images, slots, self.center)
        score = slots.stored(np.float32, (cosine for cosine, _ in cosines))
        return Prepared(slot={"score": score})

    def learned(self, width: int) -> int:
        """The four."""
        return 4

    def layers(self, prepared: Prepared) -> dict[str, nn.Module]:
        """The three weights and the logarithm of tau, which so stays positive."""
        import torch
        from torch import nn

        start = torch.tensor([1.0, self.similarity, 0.0, float(np.log(self.temperature))])
        return {"weights": nn.ParameterList([nn.Parameter(one) for one in start])}

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """What each history item's logit is multiplied with, and what is added to it."""
        of_logit, of_score, of_both, log_temperature = layers["weights"]  # pyright: ignore
        score = batch.image_slot["score"] * (-log_temperature).exp()  # (M,)
        return Injected(attention=(of_logit + of_both * score, of_score * score))

    def report(self, layers: nn.ModuleDict) -> dict[str, float]:
        """What was learned."""
        learned = (weight.detach() for weight in layers["weights"].parameters())
        g1, g2, g3, log_temperature = map(float, learned)
        return {"g1": g1, "g2": g2, "g3": g3, "temperature": float(np.exp(log_temperature))}
