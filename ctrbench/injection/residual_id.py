"""`residual_id`: residual k-means codes, from coarse to fine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from ctrbench.clustering import fit_residual, residual_codes
from ctrbench.injection._codes import SeveralCodesMode


class ResidualId(SeveralCodesMode):
    """Embeds the residual k-means codes c1..cL, one embedding per level.

    Source: QARM (Luo et al. 2024, arXiv:2411.11739), section 3.2, without the alignment.
    """

    revision: ClassVar[int] = 3  # embedding_std 0.1; 0.01 in revision 2

    levels: Annotated[int, Field(strict=True, ge=1, le=32)] = 3  # L

    def codes_per_item(self) -> int:
        """Return the number of levels."""
        return self.levels

    def fit(self, unit: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """Return the centres of every level, (L, K, D)."""
        return {"centres": fit_residual(unit, self.levels, self.codebook_size, seed)}

    def assign(self, unit: np.ndarray, fitted: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the codes of every level, assigned greedily."""
        return residual_codes(unit, fitted["centres"])
