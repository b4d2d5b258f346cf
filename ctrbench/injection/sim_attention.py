"""`sim_attention`: image similarity changes the attention logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from ctrbench.batches.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Prepared
from ctrbench.injection._similarity import PairMode, slot_cosines
from ctrbench.settings import ModelSettings, RateFactor

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrbench.batches.packing import Batch


class SimAttention(PairMode):
    """The attention logit `a` becomes `g1 a + g2 s + g3 a s` with `s = cos(e_t, e_hk) / tau`.

    g1, g2, g3 and tau are learned and reported. s is 0 if an image is missing. The mode requires
    `attention_weights: softmax` in the model and in its baseline.

    Source: the published code of MUSE (Taobao, multi-modal search for lifelong behaviour). Its
    starting values are not published; here g1 = 1 and g3 = 0.
    """

    revision: ClassVar[int] = 2  # learning_rate_factor 3; 30 in revision 1

    learning_rate_factor: RateFactor = 3.0  # the four parameters move slowly at factor 1
    temperature: Annotated[float, Field(strict=True, ge=1e-6, le=1e6)] = 0.1  # start of tau
    similarity: Annotated[float, Field(strict=True, ge=-1e6, le=1e6)] = 0.1  # start of g2

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """Return a problem if attention weights are not normalised by a softmax."""
        if model.attention_weights == "softmax":
            return []
        return ["requires softmax attention; set model: {attention_weights: softmax}"]

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """Return the cosine of every history slot."""
        cosines = slot_cosines(images, slots, self.center)
        score = slots.stored(np.float32, (cosine for cosine, _ in cosines))
        return Prepared(slot={"score": score})

    def pair_values(self, cosine: Tensor, known: Tensor) -> dict[str, Tensor]:
        """Return the score of each pair."""
        return {"score": cosine}

    def learned(self, width: int) -> int:
        """Return the number of learned parameters, four."""
        return 4

    def layers(self, prepared: Prepared) -> dict[str, nn.Module]:
        """Return g1, g2, g3 and log tau; the logarithm keeps tau positive."""
        import torch
        from torch import nn

        start = torch.tensor([1.0, self.similarity, 0.0, float(np.log(self.temperature))])
        return {"weights": nn.ParameterList([nn.Parameter(one) for one in start])}

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """Return scale and shift of the attention logit of each history item."""
        of_logit, of_score, of_both, log_temperature = layers["weights"]  # pyright: ignore
        score = batch.image_slot["score"] * (-log_temperature).exp()  # (M,)
        return Injected(attention=(of_logit + of_both * score, of_score * score))

    def report(self, layers: nn.ModuleDict) -> dict[str, float]:
        """Return g1, g2, g3 and tau."""
        learned = (weight.detach() for weight in layers["weights"].parameters())
        g1, g2, g3, log_temperature = map(float, learned)
        return {"g1": g1, "g2": g2, "g3": g3, "temperature": float(np.exp(log_temperature))}
