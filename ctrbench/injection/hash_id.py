"""A hash of the vector as an ID: what codes are worth when they know little or no geometry."""

from __future__ import annotations

from hashlib import blake2b
from typing import ClassVar, Literal

import numpy as np

from ctrbench.clustering import code_facts
from ctrbench.injection._base import Images
from ctrbench.injection._codes import CodebookSize, CodeMode
from ctrbench.seeding import stream
from ctrbench.settings import ModelSettings


class HashId(CodeMode):
    """One of K codes per item, without any clustering.

    `random` hashes the vector's bytes: equal vectors share a code, near ones do not. `simhash`
    takes the signs of log2 K random projections, so vectors at a small angle often share a code.
    K is a power of two for both, so that they are compared at equal size.

    Source: `random`, COURIER appendix section 1; `simhash`, Charikar 2002 (STOC).
    """

    revision: ClassVar[int] = 2  # 2: embedding_std 0.01 instead of 0.5

    kind: Literal["random", "simhash"] = "simhash"
    codebook_size: CodebookSize = 256  # K, a power of two

    @property
    def bits(self) -> int:
        """log2 K."""
        return self.codebook_size.bit_length() - 1

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """Return a problem if K is no power of two."""
        below = 1 << self.bits
        if below == self.codebook_size:
            return []
        return [f"codebook_size {self.codebook_size} is no power of two: {below} or {2 * below}"]

    def codes(self, unit: np.ndarray, images: Images, seed: int) -> np.ndarray:
        """Return the hash of each vector, modulo K."""
        unit = unit[images.has_vector]
        rng = stream(seed, "hash_id")
        if self.kind == "simhash":
            planes = rng.normal(size=(unit.shape[1], self.bits)).astype(np.float32)
            code = (unit @ planes > 0) @ (1 << np.arange(self.bits))
        else:
            key = rng.bytes(16)
            hashed = [blake2b(row.tobytes(), digest_size=8, key=key).digest() for row in unit]
            code = np.frombuffer(b"".join(hashed), np.uint64) % np.uint64(self.codebook_size)
            code = code.astype(np.int64)
        return code[:, None]

    def facts(self, code: np.ndarray) -> dict[str, float]:
        """Return how the codes are used."""
        return code_facts(code[:, 0], self.codebook_size)
