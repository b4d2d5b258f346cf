"""Index of the nearest cluster centre, learned like one more ID."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ctrbench.clustering import Method, code_facts, collisions, fit_by, nearest_code
from ctrbench.impressions.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Injection, Prepared
from ctrbench.injection._codes import (
    CODE_STD,
    CodebookSize,
    code_table,
    embedded,
    numbered,
    table_numbers,
    too_few_items,
)
from ctrbench.settings import ModelSettings, Std, Width

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
    revision: ClassVar[int] = 3  # 2: embedding_std 0.5 instead of 0.1; 3: 0.01

    codebook_size: CodebookSize = 200  # K, cluster centres
    width: Width = 16  # of the code's embedding
    embedding_std: Std = CODE_STD  # of its starting values
    method: Method = "kmeans"  # spherical: centres of length one; hierarchical: for large K
    center: bool = False  # subtract the mean vector before normalising

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """More centres than items to fit them on."""
        return too_few_items(self.codebook_size, items)

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """The code of every item; 0 is a missing image, centres count from 1."""
        unit, has = images.unit(self.center), np.asarray(images.has_vector)
        codebook = fit_by(self.method, unit[images.fitting], self.codebook_size, seed)
        code = nearest_code(unit[has], codebook)
        return Prepared(
            item={"code": numbered(code[:, None], has, self.codebook_size)},
            facts=code_facts(code, self.codebook_size) | {"collisions": collisions(code)},
        )

    def learned(self, width: int) -> int:
        """Those of the table."""
        return table_numbers(1, self.codebook_size, self.width)

    def layers(self, prepared: Prepared) -> dict[str, nn.Module]:
        """The embedding of the codes."""
        return {"code_embedding": code_table(1, self.codebook_size, self.width, self.embedding_std)}

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """The embedded code of each distinct item."""
        codes = batch.image_item["code"]  # (U, 1)
        return Injected(item=embedded(layers["code_embedding"], codes, "concat"))
