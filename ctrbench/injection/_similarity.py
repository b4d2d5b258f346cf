"""Cosine similarities of target and clicked images, shared by the similarity modes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrbench.batches.slots import HistorySlots
from ctrbench.injection._base import Images


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
