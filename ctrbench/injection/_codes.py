"""Codes as ID features: the shared base of the modes that assign codes to items."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ctrbench.batches.slots import HistorySlots
from ctrbench.clustering import level_facts
from ctrbench.injection._base import Images, Injected, Injection, Prepared
from ctrbench.settings import ModelSettings, Std, Width

if TYPE_CHECKING:
    from torch import nn

    from ctrbench.batches.packing import Batch

Combine = Literal["concat", "sum"]
CodebookSize = Annotated[int, Field(strict=True, ge=2, le=1 << 24)]  # K

# Standard deviation of the starting values of code embeddings. A larger one speeds up learning in
# short epochs. However, the embedding of a code that many items share then dominates the ID
# embeddings early in training. benchmarks/defaults/ holds the experiments.
CODE_STD = 0.01  # one code per item; equal to that of IDs
CODES_STD = 0.1  # several codes per item


class CodeMode(Injection):
    """A mode that embeds one code per item; a subclass implements `codes`.

    All codes share one embedding table. Row 0 represents a missing image; the K rows of each level
    follow.
    """

    seeded: ClassVar[bool] = True

    codebook_size: CodebookSize = 200  # K
    width: Width = 16  # of a code's embedding
    embedding_std: Std = CODE_STD  # of its starting values
    center: bool = False  # subtract the mean vector before normalising

    @abstractmethod
    def codes(self, unit: np.ndarray, images: Images, seed: int) -> np.ndarray:
        """Return the codes of the n items with a vector, (n, L) int64 in [0, K).

        Args:
            unit: (V, D) float32, vectors of length one, centred if `center` is set.
            images: The items with a vector, and those on which a codebook may be fitted.
            seed: The seed of the cell.

        Raises:
            DataError: There are fewer distinct vectors than centres.
        """

    def facts(self, code: np.ndarray) -> dict[str, float]:
        """Return statistics about (n, L) int64 codes for the record."""
        return level_facts(code, self.codebook_size)

    def codes_per_item(self) -> int:
        """Return the number of codes per item, L."""
        return 1

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """Return a problem if there are more centres than distinct vectors to fit them on."""
        if self.codebook_size <= items:
            return []
        if items < 2:
            return [
                f"a codebook requires 2 distinct vectors in the earliest period, found {items}; "
                "remove the version or the mode"
            ]
        return [
            f"codebook_size {self.codebook_size} exceeds the {items} distinct vectors of the "
            f"earliest period, on which it is fitted; choose at most {items}"
        ]

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """Return the embedding rows of the codes of every item."""
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
        """Return the concatenated code embeddings of each distinct item."""
        return Injected(item=layers["code_embedding"](batch.image_item["code"]).flatten(1))


class SeveralCodesMode(CodeMode):
    """A mode with several codes per item; a subclass implements `codes` and `codes_per_item`."""

    codebook_size: CodebookSize = 64  # K of each level
    combine: Combine = "concat"  # how the code embeddings of an item are combined
    embedding_std: Std = CODES_STD  # of their starting values

    @abstractmethod
    def codes_per_item(self) -> int:
        """Return the number of codes per item, L."""

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """Return the combined code embeddings of each distinct item."""
        if self.combine == "concat":
            return super().inject(layers, batch)
        vectors = layers["code_embedding"](batch.image_item["code"])  # (U, L, width)
        return Injected(item=vectors.sum(dim=1))
