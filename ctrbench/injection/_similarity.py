"""Cosine similarities of target and clicked images, shared by the similarity modes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from ctrbench.batches.slots import HistorySlots
from ctrbench.injection._base import Images, Injection

if TYPE_CHECKING:
    from torch import Tensor


class PairMode(Injection):
    """A mode that reads the cosine of the target image with each clicked image.

    A server cannot look up the cosines of all pairs of items. An exported model therefore computes
    them from the vectors of both items, and `pair_values` makes the slot arrays of them.
    """

    center: bool = False  # subtract the mean vector before normalising

    @abstractmethod
    def pair_values(self, cosine: Tensor, known: Tensor) -> dict[str, Tensor]:
        """Return the values of the slot arrays that `prepare` makes, by name, (M,) each.

        Args:
            cosine: (M,) float32, 0 where an image is missing.
            known: (M,) bool, whether both items have an image.
        """

    def encoder(self, images: Images, seed: int) -> dict[str, np.ndarray] | None:
        """Return nothing: no array per item depends on other vectors."""
        return {}

    def encode(
        self, vectors: np.ndarray, encoder: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Return nothing but the vectors that the model compares, which are not prepared."""
        return {}


def slot_cosines(
    images: Images, slots: HistorySlots, center: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield blocks of history slots in order: cosines, and whether both items have an image.

    Args:
        images: The image vectors.
        slots: The history slots.
        center: Whether to subtract the mean vector before normalising.

    Yields:
        Pairs of (n,) float32 and (n,) bool; the cosine is 0 where an image is missing.
    """
    unit, has = images.unit(center), np.asarray(images.has_vector)
    for _, target, history in slots.pairs():
        cosine = np.einsum("md,md->m", unit[target], unit[history])
        yield cosine, has[target] & has[history]
