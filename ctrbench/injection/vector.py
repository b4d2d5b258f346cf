"""The vector itself, through one linear layer, for the target and every history item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ctrbench.impressions.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Injection, Prepared
from ctrbench.settings import Width

if TYPE_CHECKING:
    from torch import nn

    from ctrbench.impressions.packing import Batch


class Vector(Injection):
    """`W e` beside the ID embedding, in the attention unit and in the last MLP.

    An item without an image has a zero vector and a 1 in one further column.

    Source: COURIER, appendix section 1, "Vector".
    """

    width: Width = 16  # of the projection W e
    center: bool = False  # subtract the mean vector before normalising
    scale: Literal["unit", "standard"] = "unit"  # length one, or every dimension of variance 1 / D
    batch_norm: bool = False  # of W e, over the distinct items of a batch
    gate: bool = False  # W e times a learned number in [0, 1], which is reported

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """Normalised vectors."""
        vectors, has = images.unit(self.center), np.asarray(images.has_vector)
        if self.scale == "standard":
            fitted = vectors[images.fitting]
            deviation = fitted.std(axis=0)
            deviation[deviation == 0] = 1  # all alike in this dimension
            vectors = (vectors - fitted.mean(axis=0)) / (deviation * vectors.shape[1] ** 0.5)
            vectors[~has] = 0
        return Prepared(
            item={
                "vector": vectors,  # (V, D)
                "missing": ~has[:, None],  # (V, 1)
            }
        )

    def learned(self, width: int) -> int:
        """Those of W, of two for each of its outputs, and of the gate."""
        return self.width * (width + 2 * self.batch_norm) + self.gate

    def layers(self, prepared: Prepared) -> dict[str, nn.Module]:
        """The projection W, and what is asked for after it."""
        import torch
        from torch import nn

        width_in = prepared.item["vector"].shape[1]
        found: dict[str, nn.Module] = {"projection": nn.Linear(width_in, self.width, bias=False)}
        if self.batch_norm:
            found["norm"] = nn.BatchNorm1d(self.width)
        if self.gate:
            found["gate"] = nn.ParameterList([nn.Parameter(torch.zeros(()))])
        return found

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """The projected vector of each distinct item."""
        import torch
        import torch.nn.functional as F

        projected = layers["projection"](batch.image_item["vector"])  # (U, width)
        if self.batch_norm:
            norm, many = layers["norm"], len(projected) > 1  # one item alone has no variance
            projected = F.batch_norm(
                projected,
                norm.running_mean,  # pyright: ignore[reportArgumentType]
                norm.running_var,  # pyright: ignore[reportArgumentType]
                norm.weight,  # pyright: ignore[reportArgumentType]
                norm.bias,  # pyright: ignore[reportArgumentType]
                training=norm.training and many,
            )
        if self.gate:
            projected = projected * torch.sigmoid(layers["gate"][0])  # pyright: ignore
        missing = batch.image_item["missing"]  # (U, 1)
        return Injected(item=torch.cat([projected, missing], dim=1))

    def report(self, layers: nn.ModuleDict) -> dict[str, float]:
        """The gate, from 0.5 at the start."""
        if not self.gate:
            return {}
        return {"gate": float(layers["gate"][0].detach().sigmoid())}  # pyright: ignore
