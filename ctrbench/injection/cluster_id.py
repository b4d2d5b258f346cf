"""`cluster_id`: the index of the nearest cluster centre as an ID feature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ctrbench.clustering import Method, code_facts, collisions, fit_by, nearest_code
from ctrbench.injection._codes import CodeMode


class ClusterId(CodeMode):
    """`argmin_c |e - mu_c|^2` as an ID feature of target and history items.

    Items without an image share a separate code, 0. Centres are fitted on the items of the fitting
    period; items that appear later are assigned to the nearest centre.
    The codes of a version of codes are taken as they are.

    Source: COURIER, appendix section 1, "Cluster IDs".
    """

    revision: ClassVar[int] = 3  # 2: embedding_std 0.5 instead of 0.1; 3: 0.01

    given_codes: ClassVar[tuple[int, int] | None] = (1, 1)

    method: Method = "kmeans"  # spherical: centres of length one; hierarchical: for large K

    def fit(self, unit: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """Return the centres, (K, D)."""
        return {"centres": fit_by(self.method, unit, self.codebook_size, seed)}

    def assign(self, unit: np.ndarray, fitted: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the index of the nearest centre of each vector."""
        return nearest_code(unit, fitted["centres"])[:, None]

    def facts(self, code: np.ndarray) -> dict[str, float]:
        """Return the usage of the codebook, and the share of items whose code is not unique."""
        return code_facts(code[:, 0], self.codebook_size) | {"collisions": collisions(code[:, 0])}
