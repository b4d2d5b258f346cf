"""Codes as ID features: the shared base of the modes that assign codes to items."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from ctrbench.batches.slots import HistorySlots
from ctrbench.clustering import code_facts, collisions, level_facts
from ctrbench.errors import ContractError
from ctrbench.injection._base import Images, Injected, Injection, Prepared, unit_vectors
from ctrbench.settings import ModelSettings, Std, Width

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrbench.batches.packing import Batch

Combine = Literal["concat", "sum"]
CodebookSize = Annotated[int, Field(strict=True, ge=2, le=1 << 24)]  # K

# Standard deviation of the starting values of code embeddings. A larger one speeds up learning in
# short epochs. However, the embedding of a code that many items share then dominates the ID
# embeddings early in training. benchmarks/defaults/ holds the experiments.
CODE_STD = 0.01  # one code per item; equal to that of IDs
CODES_STD = 0.1  # several codes per item

OF_FITTING = "codebook_size", "method", "center", "levels", "parts"  # settings of codebooks
MOST_LEVELS = 1 << 16
COUNTS = "code_counts"


class CodeMode(Injection):
    """A mode that embeds one code per item.

    A subclass implements `fit` and `assign`, or only `codes` if it cannot encode new items.

    All codes share one embedding table. Row 0 represents a missing image; the K rows of each level
    follow. On a version of codes, nothing is fitted, and K is the number of distinct codes of the
    level.
    """

    seeded: ClassVar[bool] = True
    given_codes: ClassVar[tuple[int, int] | None] = None  # least and most codes of a version

    codebook_size: CodebookSize = 200  # K
    width: Width = 16  # of a code's embedding
    embedding_std: Std = CODE_STD  # of its starting values
    center: bool = False  # subtract the mean vector before normalising

    def fit(self, unit: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """Return the arrays from which `assign` computes codes, such as centres, by name.

        Args:
            unit: (n, D) float32, the unit vectors of the fitting items.
            seed: The seed of the cell.

        Raises:
            DataError: There are fewer distinct vectors than centres.
        """
        raise _incomplete(self)

    def assign(self, unit: np.ndarray, fitted: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the codes of n vectors, (n, L) int64 in [0, K).

        Args:
            unit: (n, D) float32, vectors of length one, centred if `center` is set.
            fitted: The arrays that `fit` returned.
        """
        raise _incomplete(self)

    def codes(self, unit: np.ndarray, images: Images, seed: int) -> np.ndarray:
        """Return the codes of the n items with a vector, (n, L) int64 in [0, K).

        Args:
            unit: (V, D) float32, vectors of length one, centred if `center` is set.
            images: The items with a vector, and those on which a codebook may be fitted.
            seed: The seed of the cell.

        Raises:
            DataError: There are fewer distinct vectors than centres.
        """
        return self.assign(unit[images.has_vector], self.fit(unit[images.fitting], seed))

    def encoder(self, images: Images, seed: int) -> dict[str, np.ndarray] | None:
        """Return the fitted arrays, and the mean vector if `center` is set; None on codes."""
        if images.code_counts or type(self).assign is CodeMode.assign:
            return None
        fitted = self.fit(images.unit(self.center)[images.fitting], seed)
        return fitted | ({"mean": images.mean()} if self.center else {})

    def encode(
        self, vectors: np.ndarray, encoder: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Return the embedding rows of the codes of new items."""
        code = self.assign(unit_vectors(vectors, encoder.get("mean")), encoder)
        return {"code": 1 + code + self.codebook_size * np.arange(code.shape[1])}

    def codes_of(self, prepared: Prepared) -> np.ndarray:
        """Return the codes of every item, (V, L) int64; -1 without a vector."""
        rows = np.asarray(prepared.item["code"], np.int64)
        counts = np.asarray(
            prepared.whole.get(COUNTS, np.full(rows.shape[1], self.codebook_size, np.int64))
        )
        return np.where(rows > 0, rows - 1 - np.cumsum(counts) + counts, -1)

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

    def problems_on_codes(self, code_counts: tuple[int, ...]) -> list[str]:
        """Return a problem if the mode fits its own codes, or takes another number per item."""
        if not self.given_codes:
            return super().problems_on_codes(code_counts)
        fewest, most = self.given_codes
        if fewest <= len(code_counts) <= most:
            return []
        wanted = "one code" if most == 1 else f"at least {fewest} codes"
        return [f"requires {wanted} per item, but the version holds {len(code_counts)}"]

    def on_codes(self, fields: Container[str | None]) -> Self:
        """Return the mode with the default values of the settings of codebooks."""
        if self.field not in fields:
            return self
        own = type(self).model_fields
        unused = {name: own[name].default for name in OF_FITTING if name in own}
        return self.model_copy(update=unused)

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """Return the embedding rows of the codes of every item."""
        if images.code_counts:
            return _given(images)
        code = self.codes(images.unit(self.center), images, seed)
        rows = np.zeros((len(images.has_vector), code.shape[1]), np.int64)  # (V, L)
        rows[images.has_vector] = 1 + code + self.codebook_size * np.arange(code.shape[1])
        return Prepared(item={"code": rows}, facts=self.facts(code))

    def learned(self, width: int) -> int:
        """Return the size of the embedding table."""
        return (1 + self.codes_per_item() * self.codebook_size) * self.width

    def learned_on_codes(self, code_counts: tuple[int, ...]) -> int:
        """Return the size of the embedding table on a version of codes."""
        return (1 + sum(code_counts)) * self.width

    def layers(self, prepared: Prepared) -> dict[str, nn.Module]:
        """Return the embedding table."""
        from torch import nn

        codes = self.codes_per_item() * self.codebook_size
        if COUNTS in prepared.whole:  # a version of codes
            codes = int(prepared.whole[COUNTS].sum())
        table = nn.Embedding(1 + codes, self.width)
        nn.init.normal_(table.weight, std=self.embedding_std)
        return {"code_embedding": table}

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """Return the concatenated code embeddings of each distinct item."""
        return Injected(item=self.embedded(layers, batch).flatten(1))

    def embedded(self, layers: nn.ModuleDict, batch: Batch) -> Tensor:
        """Return the embedding of each code of each distinct item, (U, L, width)."""
        from ctrbench.loops.functions import take

        code = batch.image_item["code"]  # (U, L)
        table = layers["code_embedding"].get_parameter("weight")
        return take(table, code.flatten()).unflatten(0, code.shape)


class SeveralCodesMode(CodeMode):
    """A mode with several codes per item; a subclass implements `codes` and `codes_per_item`."""

    codebook_size: CodebookSize = 64  # K of each level
    combine: Combine = "concat"  # how the code embeddings of an item are combined
    embedding_std: Std = CODES_STD  # of their starting values

    given_codes: ClassVar[tuple[int, int] | None] = (2, MOST_LEVELS)

    @abstractmethod
    def codes_per_item(self) -> int:
        """Return the number of codes per item, L."""

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """Return the combined code embeddings of each distinct item."""
        if self.combine == "concat":
            return super().inject(layers, batch)
        return Injected(item=self.embedded(layers, batch).sum(dim=1))


def _given(images: Images) -> Prepared:
    """Return the embedding rows of the given codes of every item, and statistics about them."""
    counts = np.array(images.code_counts, np.int64)
    code = images.vectors[images.has_vector]
    rows = np.zeros(images.vectors.shape, np.int64)  # (V, L)
    rows[images.has_vector] = 1 + code + np.cumsum(counts) - counts
    facts = level_facts(code, images.code_counts)
    if len(counts) == 1:
        facts = code_facts(code[:, 0], images.code_counts[0]) | {"collisions": collisions(code)}
    return Prepared(item={"code": rows}, whole={COUNTS: counts}, facts=facts)


def _incomplete(mode: CodeMode) -> ContractError:
    """Return the error of a mode that gives items no codes."""
    name = type(mode).__name__
    return ContractError(f"{name} overrides neither `codes` nor both `fit` and `assign`.")
