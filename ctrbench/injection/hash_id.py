"""A hash of the vector as an ID: what codes are worth when they know little or no geometry."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ctrbench.clustering import code_facts
from ctrbench.impressions.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Injection, Prepared
from ctrbench.injection._codes import (
    CODE_STD,
    CodebookSize,
    code_table,
    embedded,
    numbered,
    table_numbers,
)
from ctrbench.seeding import stream
from ctrbench.settings import ModelSettings, Std, Width

if TYPE_CHECKING:
    from torch import nn

    from ctrbench.impressions.packing import Batch


class HashId(Injection):
    """One of K codes an item, without any clustering.

    `random` hashes the vector's bytes: equal vectors share a code, near ones do not. `simhash`
    takes the signs of log2 K random projections, so vectors at a small angle often share a code.
    K is a power of two for both, so that they are compared at equal size.

    Source: `random`, COURIER appendix section 1; `simhash`, Charikar 2002 (STOC).
    """

    seeded: ClassVar[bool] = True
    revision: ClassVar[int] = 2  # 2: embedding_std 0.01 instead of 0.5

    kind: Literal["random", "simhash"] = "simhash"
    codebook_size: CodebookSize = 256  # K, a power of two
    width: Width = 16  # of the code's embedding
    embedding_std: Std = CODE_STD  # of its starting values
    center: bool = False  # subtract the mean vector before normalising

    @property
    def bits(self) -> int:
        """log2 K."""
        return self.codebook_size.bit_length() - 1

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """A number of codes that no number of signs gives."""
        below = 1 << self.bits
        if below == self.codebook_size:
            return []
        return [f"codebook_size {self.codebook_size} is no power of two: {below} or {2 * below}"]

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """The code of every item; 0 is a missing image."""
        has = np.asarray(images.has_vector)
        unit = images.unit(self.center)[has]
        rng = stream(seed, "hash_id")
        if self.kind == "simhash":
            planes = rng.normal(size=(unit.shape[1], self.bits)).astype(np.float32)
            code = (unit @ planes > 0) @ (1 << np.arange(self.bits))
        else:
            key = rng.bytes(16)
            hashed = [blake2b(row.tobytes(), digest_size=8, key=key).digest() for row in unit]
            code = np.frombuffer(b"".join(hashed), np.uint64) % np.uint64(self.codebook_size)
            code = code.astype(np.int64)
        return Prepared(
            item={"code": numbered(code[:, None], has, self.codebook_size)},
            facts=code_facts(code, self.codebook_size),
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
