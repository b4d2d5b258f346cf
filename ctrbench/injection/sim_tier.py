"""`sim_tier`: a histogram of the similarities of clicked images to the target image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from ctrbench.batches.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Prepared
from ctrbench.injection._similarity import PairMode, slot_cosines
from ctrbench.settings import Width

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrbench.batches.packing import Batch


class SimTier(PairMode):
    """Injects the counts of `s_k = cos(e_t, e_hk)` in N equal bins of [-1, 1] into the last MLP.

    Pairs with a missing image are not counted.

    Source: Sheng et al. 2024, arXiv:2407.19467, section 3.3, which uses plain counts. Public
    implementations weight a learned vector of each bin by log(1 + count), here `log_embedding`.
    """

    tiers: Annotated[int, Field(strict=True, ge=1, le=1000)] = 20  # N, bins
    counts: Literal["plain", "log", "log_embedding"] = "log"  # log: log(1 + count)
    width: Width = 4  # of the vector of a bin; log_embedding only

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """Return the bin of every history slot, starting at 1; 0 if an image is missing."""
        cosines = slot_cosines(images, slots, self.center)
        tiers = (np.where(known, 1 + self._place(cosine), 0) for cosine, known in cosines)
        return Prepared(slot={"tier": slots.stored(np.uint16, tiers)})

    def _place(self, cosine: np.ndarray) -> np.ndarray:
        return np.floor((cosine + 1) / 2 * self.tiers).clip(0, self.tiers - 1)

    def pair_values(self, cosine: Tensor, known: Tensor) -> dict[str, Tensor]:
        """Return the bin of each pair, starting at 1; 0 if an image is missing."""
        place = ((cosine + 1) / 2 * self.tiers).floor().clamp(0, self.tiers - 1)
        return {"tier": (1 + place.long()) * known}

    def learned(self, width: int) -> int:
        """Return the number of parameters of the bin vectors."""
        return self.tiers * self.width if self.counts == "log_embedding" else 0

    def layers(self, prepared: Prepared) -> dict[str, nn.Module]:
        """Return the vectors of the bins, for `log_embedding` only."""
        from torch import nn

        if self.counts != "log_embedding":
            return {}
        return {"tier_embedding": nn.Embedding(self.tiers, self.width)}

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """Return the encoded counts of each impression."""
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
    """Return the number of history items per impression and bin, (B, N) float32.

    Args:
        batch: A batch whose `image_slot` holds the bin of each history item.
        tiers: The number of bins, N.
    """
    import torch

    rows = batch.target.shape[0]  # unlike len(), a shape stays dynamic in an exported model
    place = batch.history_row * (tiers + 1) + batch.image_slot["tier"]
    ones = torch.ones_like(place, dtype=torch.float32)
    flat = ones.new_zeros(rows * (tiers + 1)).index_add(0, place, ones)
    return flat.view(rows, tiers + 1)[:, 1:]
