"""Image vectors as the start of the item ID embedding, which then learns on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ctrbench.impressions.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Injection, Prepared
from ctrbench.seeding import stream
from ctrbench.settings import ModelSettings, Std

if TYPE_CHECKING:
    from torch import nn

    from ctrbench.impressions.packing import Batch


WIDEST = 256  # ID embeddings that a random projection can fill, or the vectors' own width


class IdInit(Injection):
    """The ID embedding starts at the projected unit vector; without an image it is drawn as ever.

    `pca` keeps the directions in which items differ most, `random` keeps angles roughly, `none`
    takes vectors that are as wide as the embedding. Nothing else enters the model, so the mode has
    no parameters of its own and `learning_rate_factor` moves nothing.

    Source: common practice; no paper is followed.
    """

    seeded: ClassVar[bool] = True
    starts_ids: ClassVar[bool] = True

    projection: Literal["pca", "random", "none"] = "pca"
    std: Std = 0.1  # of the starting values, over all items and dimensions
    center: bool = True  # subtract the mean vector before normalising

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """Vectors that do not fit the embedding."""
        wanted = model.embedding_size
        if self.projection == "none" and width != wanted:
            return [
                f"vectors of width {width} do not fit the id embedding of {wanted}; "
                "choose projection: pca or random"
            ]
        if self.projection == "pca" and min(width, items) < wanted:
            return [
                f"projection: pca cannot make {wanted} directions of {items} vectors of width "
                f"{width}; choose projection: random"
            ]
        if wanted > max(width, WIDEST):
            most = max(width, WIDEST)
            return [f"embedding_size {wanted} exceeds the {most} that can be filled; lower it"]
        return []

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """Every item's vector along the directions from which the first are taken."""
        unit, has = images.unit(self.center), np.asarray(images.has_vector)
        if self.projection == "pca":
            _, directions = np.linalg.eigh(np.cov(unit[images.fitting].T.astype(np.float64)))
            directions = directions[:, ::-1]  # the widest first
            largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], 0)
            unit = unit @ (directions * np.sign(largest)).astype(np.float32)
        elif self.projection == "random":
            shape = unit.shape[1], max(unit.shape[1], WIDEST)
            unit = unit @ stream(seed, "id_init").normal(size=shape).astype(np.float32)
        unit[~has] = np.nan
        return Prepared(whole={"start": unit, "fitting": np.asarray(images.fitting)})

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """Nothing: the start is all."""
        return Injected()

    def starting_ids(self, prepared: Prepared, model: ModelSettings) -> np.ndarray:
        """(V, embedding_size) float32; NaN where an item has no image."""
        start = np.asarray(prepared.whole["start"][:, : model.embedding_size])
        spread = start[prepared.whole["fitting"]].std() or 1.0  # all alike: a constant control
        return start * np.float32(self.std / spread)
