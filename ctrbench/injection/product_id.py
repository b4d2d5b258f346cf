"""`product_id`: product-quantised codes, one per part of the vector."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ctrbench.clustering import fit_product, product_codes
from ctrbench.injection._base import Images
from ctrbench.injection._codes import SeveralCodesMode
from ctrbench.settings import ModelSettings, Width


class ProductId(SeveralCodesMode):
    """Embeds the product-quantised codes of the vector, one embedding per part.

    The parts are consecutive slices of the vector. If the width is not a multiple of their number,
    the first parts are one number wider.

    Source: Jégou et al. 2011 (IEEE TPAMI 33, 1); as ID features as in PSRQ (arXiv:2508.20359).
    """

    revision: ClassVar[int] = 3  # embedding_std 0.1; 0.01 in revision 2

    parts: Width = 4  # P

    def codes_per_item(self) -> int:
        """Return the number of parts."""
        return self.parts

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """Return a problem if there are too many centres or too many parts."""
        found = super().problems(items, width, model)
        if self.parts > width:
            found.append(
                f"parts {self.parts} exceeds the vector width {width}; choose at most {width}"
            )
        return found

    def codes(self, unit: np.ndarray, images: Images, seed: int) -> np.ndarray:
        """Return the code of each part."""
        books = fit_product(unit[images.fitting], self.parts, self.codebook_size, seed)
        return product_codes(unit[images.has_vector], books)
