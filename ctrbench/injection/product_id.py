"""`product_id`: product-quantised codes, one per part of the vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ctrbench.clustering import fit_product, product_codes
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

    def fit(self, unit: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """Return the centres of part p, (K, width of the part), as `centres_p`, p from 1."""
        books = fit_product(unit, self.parts, self.codebook_size, seed)
        return {f"centres_{part}": book for part, book in enumerate(books, start=1)}

    def assign(self, unit: np.ndarray, fitted: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the code of each part."""
        books = tuple(fitted[f"centres_{part}"] for part in range(1, self.parts + 1))
        return product_codes(unit, books)
