"""The vector cut into parts, each with a code of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ctrbench.clustering import fit_product, level_facts, product_codes
from ctrbench.impressions.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Injection, Prepared
from ctrbench.injection._codes import (
    CODES_STD,
    CodebookSize,
    Combine,
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


class ProductId(Injection):
    """Product-quantised codes, an embedding of its own for each part.

    Parts are cut from the vector as it is given; the first of them get one number more where its
    width does not divide evenly.

    Source: Jégou et al. 2011 (IEEE TPAMI 33, 1); as ID features as in PSRQ (arXiv:2508.20359).
    """

    seeded: ClassVar[bool] = True
    revision: ClassVar[int] = 3  # embedding_std 0.1; 0.01 in revision 2

    parts: Width = 4  # P
    codebook_size: CodebookSize = 64  # K, centres of each part
    width: Width = 16  # of a code's embedding
    combine: Combine = "concat"  # embeddings of the parts: side by side, or added up
    embedding_std: Std = CODES_STD  # of their starting values
    center: bool = False  # subtract the mean vector before normalising

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """More parts than numbers in a vector, more centres than items to fit them on."""
        found = too_few_items(self.codebook_size, items)
        if self.parts > width:
            found.append(
                f"parts {self.parts} exceeds the vectors' width {width}; choose at most that"
            )
        return found

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """The codes of every item; 0 is a missing image."""
        unit, has = images.unit(self.center), np.asarray(images.has_vector)
        books = fit_product(unit[images.fitting], self.parts, self.codebook_size, seed)
        code = product_codes(unit[has], books)
        return Prepared(
            item={"code": numbered(code, has, self.codebook_size)},
            facts=level_facts(code, self.codebook_size),
        )

    def learned(self, width: int) -> int:
        """Those of the table."""
        return table_numbers(self.parts, self.codebook_size, self.width)

    def layers(self, prepared: Prepared) -> dict[str, nn.Module]:
        """The embeddings of the codes, all parts in one table."""
        table = code_table(self.parts, self.codebook_size, self.width, self.embedding_std)
        return {"code_embedding": table}

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """The embedded codes of each distinct item."""
        codes = batch.image_item["code"]  # (U, P)
        return Injected(item=embedded(layers["code_embedding"], codes, self.combine))
