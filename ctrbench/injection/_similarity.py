"""Cosines of target and clicked images, shared by the modes that are made of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrbench.impressions.slots import HistorySlots
from ctrbench.injection._base import Images


def slot_cosines(
    images: Images, slots: HistorySlots, center: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of slots in order: (n,) float32 cosines, (n,) bool whether both have an image.

    Where an image is missing the cosine is 0.
    """
    unit, has = images.unit(center), np.asarray(images.has_vector)
    for _, target, history in slots.pairs():
        cosine = np.einsum("md,md->m", unit[target], unit[history])
        yield cosine, has[target] & has[history]
