"""Index of the nearest cluster centre, learned like one more ID."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from ctrbench.clustering import code_facts, fit_codebook, nearest_code
from ctrbench.impressions.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Injection, Prepared
from ctrbench.settings import ModelSettings

if TYPE_CHECKING:
    from torch import nn

    from ctrbench.impressions.packing import Batch


class ClusterId(Injection):
    """`argmin_c |e - mu_c|^2` as an ID feature of target and history items.

    An item without an image has a code of its own, 0. Centres are fitted on the items of the
    fitting period; a later item takes its nearest centre.

    Source: COURIER, appendix section 1, "Cluster IDs".
    """

    seeded: ClassVar[bool] = True
    revision: ClassVar[int] = 2  # 2: embedding_std 0.5 instead of 0.1

    codebook_size: PositiveInt = 200  # K, cluster centres
    width: PositiveInt = 16  # of the code's embedding
    # Codes meet as products q * k: from a small start these are tiny, and one epoch passes before
    # the mode wakes up. Of 0.01, 0.1, 0.5 and 1, the last two moved an oracle world alike.
    embedding_std: PositiveFloat = 0.5  # of its starting values
    center: bool = False  # subtract the mean vector before normalising

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """More centres than items to fit them on."""
        if self.codebook_size <= items:
            return []
        return [f"codebook_size {self.codebook_size} exceeds the {items} items to fit it on"]

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """The code of every item; 0 is a missing image, centres count from 1."""
        unit = images.unit(self.center)
        codebook = fit_codebook(unit[images.fitting], self.codebook_size, seed)
        code = np.zeros(len(unit), np.int64)
        code[images.has_vector] = 1 + nearest_code(unit[images.has_vector], codebook)
        return Prepared(
            item={"code": code}, facts=code_facts(code[images.has_vector] - 1, self.codebook_size)
        )

    def layers(self, prepared: Prepared) -> dict[str, nn.Module]:
        """The embedding of the codes."""
        from torch import nn

        embedding = nn.Embedding(self.codebook_size + 1, self.width)
        nn.init.normal_(embedding.weight, std=self.embedding_std)
        return {"code_embedding": embedding}

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """The embedded code of each distinct item."""
        return Injected(item=layers["code_embedding"](batch.image_item["code"]))  # (U, width)
