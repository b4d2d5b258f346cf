"""`hash_id`: a hash of the vector as an ID feature, with little or no geometry in the codes."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import ClassVar, Literal

import numpy as np

from ctrbench.clustering import code_facts
from ctrbench.injection._codes import CodebookSize, CodeMode
from ctrbench.seeding import stream
from ctrbench.settings import ModelSettings


class HashId(CodeMode):
    """Assigns one of K codes to each item without clustering.

    `random` hashes the bytes of the vector: equal vectors share a code, similar ones do not.
    `simhash` takes the signs of log2 K random projections, so vectors at a small angle often share
    a code. K is a power of two for both kinds, so that they can be compared at equal size.

    Source: `random`, COURIER appendix section 1; `simhash`, Charikar 2002 (STOC).
    """

    revision: ClassVar[int] = 2  # 2: embedding_std 0.01 instead of 0.5

    kind: Literal["random", "simhash"] = "simhash"
    codebook_size: CodebookSize = 256  # K, a power of two

    @property
    def bits(self) -> int:
        """The number of bits of a code, log2 K."""
        return self.codebook_size.bit_length() - 1

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """Return a problem if K is not a power of two."""
        below = 1 << self.bits
        if below == self.codebook_size:
            return []
        return [
            f"codebook_size {self.codebook_size} is not a power of two; "
            f"choose {below} or {2 * below}"
        ]

    def fit(self, unit: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """Return the projections of `simhash`, (D, bits), or the key of `random`, (16,) uint8."""
        rng = stream(seed, "hash_id")
        if self.kind == "simhash":
            shape = unit.shape[1], self.bits
            return {"planes": rng.normal(size=shape).astype(np.float32)}
        return {"key": np.frombuffer(rng.bytes(16), np.uint8)}

    def assign(self, unit: np.ndarray, fitted: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the hash of each vector, modulo K."""
        if self.kind == "simhash":
            code = (unit @ fitted["planes"] > 0) @ (1 << np.arange(self.bits))
        else:
            key = fitted["key"].tobytes()
            hashed = [blake2b(row.tobytes(), digest_size=8, key=key).digest() for row in unit]
            code = np.frombuffer(b"".join(hashed), np.uint64) % np.uint64(self.codebook_size)
            code = code.astype(np.int64)
        return code[:, None]

    def facts(self, code: np.ndarray) -> dict[str, float]:
        """Return the usage of the codes."""
        return code_facts(code[:, 0], self.codebook_size)
