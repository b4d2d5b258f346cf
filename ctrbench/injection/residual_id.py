"""Coarse to fine: a code, then a code of what the first left over, and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from ctrbench.clustering import fit_residual, level_facts, residual_codes
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


class ResidualId(Injection):
    """Residual k-means codes c1..cL, an embedding of its own for each level.

    Source: QARM (Luo et al. 2024, arXiv:2411.11739), section 3.2, without its alignment.
    """

    seeded: ClassVar[bool] = True
    revision: ClassVar[int] = 3  # embedding_std 0.1; 0.01 in revision 2

    levels: Annotated[int, Field(strict=True, ge=1, le=32)] = 3  # L
    codebook_size: CodebookSize = 64  # K, centres of each level
    width: Width = 16  # of a code's embedding
    combine: Combine = "concat"  # embeddings of the levels: side by side, or added up
    embedding_std: Std = CODES_STD  # of their starting values
    center: bool = False  # subtract the mean vector before normalising

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """More centres than items to fit them on."""
        return too_few_items(self.codebook_size, items)

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """The codes of every item; 0 is a missing image."""
        unit, has = images.unit(self.center), np.asarray(images.has_vector)
        books = fit_residual(unit[images.fitting], self.levels, self.codebook_size, seed)
        code = residual_codes(unit[has], books)
        return Prepared(
            item={"code": numbered(code, has, self.codebook_size)},
            facts=level_facts(code, self.codebook_size),
        )

    def learned(self, width: int) -> int:
        """Those of the table."""
        return table_numbers(self.levels, self.codebook_size, self.width)

    def layers(self, prepared: Prepared) -> dict[str, nn.Module]:
        """The embeddings of the codes, all levels in one table."""
        table = code_table(self.levels, self.codebook_size, self.width, self.embedding_std)
        return {"code_embedding": table}

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """The embedded codes of each distinct item."""
        codes = batch.image_item["code"]  # (U, L)
        return Injected(item=embedded(layers["code_embedding"], codes, self.combine))
