"""The vector cut into parts, each with a code of its own."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ctrbench.clustering import fit_product, product_codes
from ctrbench.injection._base import Images
from ctrbench.injection._codes import SeveralCodesMode
from ctrbench.settings import ModelSettings, Width


class ProductId(SeveralCodesMode):
    """Product-quantised codes, an embedding of its own for each part.

    Parts are cut from the vector as it is given; the first of them get one number more where its
    width does not divide evenly.

    Source: Jégou et al. 2011 (IEEE TPAMI 33, 1); as ID features as in PSRQ (arXiv:2508.20359).
    """

    revision: ClassVar[int] = 3  # embedding_std 0.1; 0.01 in revision 2

    parts: Width = 4  # P

    def codes_per_item(self) -> int:
        """Return the number of parts."""
        return self.parts

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """Return a problem if there are too many centres, or more parts than numbers per vector."""
        found = super().problems(items, width, model)
        if self.parts > width:
            found.append(
                f"parts {self.parts} exceeds the vectors' width {width}; choose at most that"
            )
        return found

    def codes(self, unit: np.ndarray, images: Images, seed: int) -> np.ndarray:
        """Return the code of each part."""
        books = fit_product(unit[images.fitting], self.parts, self.codebook_size, seed)
        return product_codes(unit[images.has_vector], books)
