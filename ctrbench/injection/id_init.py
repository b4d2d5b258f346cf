"""`id_init`: image vectors initialise the item ID embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ctrbench.batches.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Injection, Prepared
from ctrbench.seeding import stream
from ctrbench.settings import ModelSettings, Std

if TYPE_CHECKING:
    from torch import nn

    from ctrbench.batches.packing import Batch


WIDEST = 256  # columns of a random projection, unless the vectors are wider


class IdInit(Injection):
    """Initialises the ID embedding with the projected unit vector of the item.

    Items without an image keep their random initialisation. `pca` projects on the principal
    components, `random` preserves angles approximately, and `none` requires vectors as wide as the
    embedding. The mode has no parameters of its own, so `learning_rate_factor` has no effect.

    Source: common practice, not a specific paper.
    """

    seeded: ClassVar[bool] = True
    starts_ids: ClassVar[bool] = True

    projection: Literal["pca", "random", "none"] = "pca"
    std: Std = 0.1  # of the starting values, over all items and dimensions
    center: bool = True  # subtract the mean vector before normalising

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """Return a problem if the vectors do not fit the ID embedding."""
        wanted = model.embedding_size
        if self.projection == "none" and width != wanted:
            return [
                f"vectors of width {width} do not fit the id embedding of {wanted}; "
                "choose projection: pca or random"
            ]
        if self.projection == "pca" and min(width, items) < wanted:
            return [
                f"projection: pca cannot find {wanted} components of {items} vectors of width "
                f"{width}; choose projection: random"
            ]
        if wanted > max(width, WIDEST):
            most = max(width, WIDEST)
            return [f"embedding_size {wanted} exceeds {most}, the largest allowed; lower it"]
        return []

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """Return the projected vectors of all items; the ID embedding takes their first columns."""
        unit, has = images.unit(self.center), np.asarray(images.has_vector)
        if self.projection == "pca":
            _, directions = np.linalg.eigh(np.cov(unit[images.fitting].T.astype(np.float64)))
            directions = directions[:, ::-1]  # largest variance first
            largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], 0)
            unit = unit @ (directions * np.sign(largest)).astype(np.float32)
        elif self.projection == "random":
            shape = unit.shape[1], max(unit.shape[1], WIDEST)
            unit = unit @ stream(seed, "id_init").normal(size=shape).astype(np.float32)
        unit[~has] = np.nan
        return Prepared(whole={"start": unit, "fitting": np.asarray(images.fitting)})

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """Return nothing: the mode only initialises the ID embedding."""
        return Injected()

    def encoder(self, images: Images, seed: int) -> dict[str, np.ndarray]:
        """Return nothing: the ID embedding of a new item is that of an unknown one."""
        return {}

    def starting_ids(self, prepared: Prepared, model: ModelSettings) -> np.ndarray:
        """Return starting values, (V, embedding_size) float32; NaN for items without an image."""
        start = np.asarray(prepared.whole["start"][:, : model.embedding_size])
        spread = start[prepared.whole["fitting"]].std() or 1.0  # 0 for the control `constant`
        return start * np.float32(self.std / spread)
