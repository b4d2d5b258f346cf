"""`sim_score`: the cosine of the target image with each clicked image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ctrbench.batches.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Prepared
from ctrbench.injection._similarity import PairMode, slot_cosines

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrbench.batches.packing import Batch


class SimScore(PairMode):
    """Injects `s_k = cos(e_t, e_hk)` into the attention unit and pools it with its weights.

    If an image of the pair is missing, the score is 0 and a second column is 1.

    Source: COURIER, appendix section 1, equation 1.
    """

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """Return the score of every history slot."""
        cosines = slot_cosines(images, slots, self.center)
        score = slots.stored(np.float32, (cosine for cosine, _ in cosines))
        return Prepared(
            item={"has_vector": images.has_vector.astype(np.float32)},  # (V,)
            slot={"score": score},
        )

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """Return score and missing indicator of each history item."""
        import torch

        has_vector = batch.image_item["has_vector"]  # (U,)
        both = has_vector[batch.target][batch.history_row] * has_vector[batch.history]  # (M,)
        return Injected(slot=torch.stack([batch.image_slot["score"], 1 - both], dim=1))

    def pair_values(self, cosine: Tensor, known: Tensor) -> dict[str, Tensor]:
        """Return the score of each pair."""
        return {"score": cosine}

    def encode(
        self, vectors: np.ndarray, encoder: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Return that the new items have an image."""
        return {"has_vector": np.ones(len(vectors), np.float32)}
