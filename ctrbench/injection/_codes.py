"""Codes as ID features: what the modes that give every item one or several codes share."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ctrbench.clustering import level_facts
from ctrbench.impressions.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Injection, Prepared
from ctrbench.settings import ModelSettings, Std, Width

if TYPE_CHECKING:
    from torch import nn

    from ctrbench.impressions.packing import Batch

Combine = Literal["concat", "sum"]
CodebookSize = Annotated[
    int, Field(strict=True, ge=2, le=1 << 24)
]  # K; one code for all items says nothing

# How widely codes start. From a wider start they wake up earlier, which helps where an epoch has
# few steps, but one that stands for many items drowns the IDs while these are learned; several
# codes of an item, each of which says less, lose less by it. benchmarks/defaults/ has the trials.
CODE_STD = 0.01  # one code an item: as IDs do
CODES_STD = 0.1  # several


class CodeMode(Injection):
    """A mode that embeds one code per item; a subclass fills `codes`.

    All codes share one embedding table. Row 0 stands for a missing image; the K rows of each level
    follow.
    """

    seeded: ClassVar[bool] = True

    codebook_size: CodebookSize = 200  # K
    width: Width = 16  # of a code's embedding
    embedding_std: Std = CODE_STD  # of its starting values
    center: bool = False  # subtract the mean vector before normalising

    @abstractmethod
    def codes(self, unit: np.ndarray, images: Images, seed: int) -> np.ndarray:
        """Return the codes of the items that have a vector, (n, L) int64 in [0, K).

        Args:
            unit: (V, D) float32, the vectors of length one, centred if `center` is set.
            images: which items have a vector, and on which a codebook may be fitted.
            seed: of the cell.

        Raises:
            DataError: fewer distinct vectors than centres.
        """

    def facts(self, code: np.ndarray) -> dict[str, float]:
        """Return the numbers about (n, L) codes that the record keeps."""
        return level_facts(code, self.codebook_size)

    def codes_per_item(self) -> int:
        """Return L, the number of codes of an item."""
        return 1

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """Return a problem if there are more centres than items to fit them on."""
        if self.codebook_size <= items:
            return []
        if items < 2:
            return [
                "the vectors of the earliest period, on which a codebook is fitted, are all alike: "
                "leave the version or the mode out"
            ]
        return [
            f"codebook_size {self.codebook_size} exceeds the {items} distinct vectors of the "
            f"earliest period, on which it is fitted; choose at most {items}"
        ]

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """Return the table rows of every item's codes."""
        code = self.codes(images.unit(self.center), images, seed)
        rows = np.zeros((len(images.has_vector), code.shape[1]), np.int64)  # (V, L)
        rows[images.has_vector] = 1 + code + self.codebook_size * np.arange(code.shape[1])
        return Prepared(item={"code": rows}, facts=self.facts(code))

    def learned(self, width: int) -> int:
        """Return the size of the embedding table."""
        return (1 + self.codes_per_item() * self.codebook_size) * self.width

    def layers(self, prepared: Prepared) -> dict[str, nn.Module]:
        """Return the embedding table."""
        from torch import nn

        table = nn.Embedding(1 + self.codes_per_item() * self.codebook_size, self.width)
        nn.init.normal_(table.weight, std=self.embedding_std)
        return {"code_embedding": table}

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """Return the embedded codes of each distinct item, side by side."""
        return Injected(item=layers["code_embedding"](batch.image_item["code"]).flatten(1))


class SeveralCodesMode(CodeMode):
    """A mode that embeds several codes per item; a subclass fills `codes` and `codes_per_item`."""

    codebook_size: CodebookSize = 64  # K of each level
    combine: Combine = "concat"  # embeddings of an item's codes: side by side, or added up
    embedding_std: Std = CODES_STD  # of their starting values

    @abstractmethod
    def codes_per_item(self) -> int:
        """Return L, the number of codes of an item."""

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """Return the embedded codes of each distinct item, combined."""
        if self.combine == "concat":
            return super().inject(layers, batch)
        vectors = layers["code_embedding"](batch.image_item["code"])  # (U, L, width)
        return Injected(item=vectors.sum(dim=1))
