"""How many clicked images are how similar to the target: a histogram of the similarities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from ctrbench.impressions.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Injection, Prepared
from ctrbench.injection._similarity import slot_cosines
from ctrbench.settings import Width

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrbench.impressions.packing import Batch


class SimTier(Injection):
    """Counts of `s_k = cos(e_t, e_hk)` in N equal bins of [-1, 1], into the last MLP.

    A pair of which an image is missing is in no bin.

    Source: Sheng et al. 2024, arXiv:2407.19467, section 3.3. There counts enter as they are; code
    that goes round weights a learned vector of each bin by log(1 + count), here `log_embedding`.
    """

    tiers: Annotated[int, Field(strict=True, ge=1, le=1000)] = 20  # N, bins
    counts: Literal["plain", "log", "log_embedding"] = "log"  # log: log(1 + count)
    width: Width = 4  # of a bin's vector; log_embedding only
    center: bool = False  # subtract the mean vector before normalising

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """The bin of every slot, from 1; 0: an image is missing."""
        cosines = slot_cosines(images, slots, self.center)
        tiers = (np.where(known, 1 + self._place(cosine), 0) for cosine, known in cosines)
        return Prepared(slot={"tier": slots.stored(np.uint16, tiers)})

    def _place(self, cosine: np.ndarray) -> np.ndarray:
        return np.floor((cosine + 1) / 2 * self.tiers).clip(0, self.tiers - 1)

    def learned(self, width: int) -> int:
        """Those of the bins' vectors."""
        return self.tiers * self.width if self.counts == "log_embedding" else 0

    def layers(self, prepared: Prepared) -> dict[str, nn.Module]:
        """A vector for every bin, where asked for."""
        from torch import nn

        if self.counts != "log_embedding":
            return {}
        return {"tier_embedding": nn.Embedding(self.tiers, self.width)}

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """The counts of each impression."""
        import torch

        count = histogram(batch, self.tiers)  # (B, N)
        if self.counts == "plain":
            return Injected(target=count)
        weight = torch.log1p(count)
        if self.counts == "log":
            return Injected(target=weight)
        vectors = layers["tier_embedding"].get_parameter("weight")  # (N, width)
        return Injected(target=(weight[:, :, None] * vectors).flatten(1))


def histogram(batch: Batch, tiers: int) -> Tensor:
    """(B, N) float32: how many history items of each impression fall into each bin."""
    import torch

    rows = batch.target.shape[0]  # unlike len(), a shape stays open in an exported model
    place = batch.history_row * (tiers + 1) + batch.image_slot["tier"]
    ones = torch.ones_like(place, dtype=torch.float32)
    flat = ones.new_zeros(rows * (tiers + 1)).index_add(0, place, ones)
    return flat.view(rows, tiers + 1)[:, 1:]
