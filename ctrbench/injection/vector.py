"""`vector`: the projected vector of the target and of every history item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from ctrbench.batches.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Injection, Prepared, unit_vectors
from ctrbench.settings import Width

if TYPE_CHECKING:
    from torch import nn

    from ctrbench.batches.packing import Batch


class Vector(Injection):
    """Injects `W e` beside the ID embedding, into the attention unit and the last MLP.

    Items without an image have a zero vector and a 1 in an additional column.

    Source: COURIER, appendix section 1, "Vector".
    """

    width: Width = 16  # of the projection W e
    center: bool = False  # subtract the mean vector before normalising
    scale: Literal["unit", "standard"] = "unit"  # length one, or variance 1 / D per dimension
    batch_norm: bool = False  # of W e, over the distinct items of a batch
    gate: bool = False  # multiply W e by a learned, reported number in [0, 1]

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """Return the normalised vectors."""
        vectors, has = images.unit(self.center), np.asarray(images.has_vector)
        if self.scale == "standard":
            fitted = vectors[images.fitting]
            deviation = fitted.std(axis=0)
            deviation[deviation == 0] = 1  # constant dimension
            vectors = (vectors - fitted.mean(axis=0)) / (deviation * vectors.shape[1] ** 0.5)
            vectors[~has] = 0
        return Prepared(
            item={
                "vector": vectors,  # (V, D)
                "missing": ~has[:, None],  # (V, 1)
            }
        )

    def encoder(self, images: Images, seed: int) -> dict[str, np.ndarray]:
        """Return the mean vector, and mean and deviation of the unit vectors, if they are used."""
        found = {"mean": images.mean()} if self.center else {}
        if self.scale == "standard":
            unit = images.unit(self.center)[images.fitting]
            deviation = unit.std(axis=0)
            deviation[deviation == 0] = 1
            found |= {"unit_mean": unit.mean(axis=0), "unit_deviation": deviation}
        return found

    def encode(
        self, vectors: np.ndarray, encoder: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Return the normalised vectors of new items."""
        unit = unit_vectors(vectors, encoder.get("mean"))
        if "unit_mean" in encoder:
            deviation = encoder["unit_deviation"] * unit.shape[1] ** 0.5
            unit = (unit - encoder["unit_mean"]) / deviation
        return {"vector": unit.astype(np.float32), "missing": np.zeros((len(unit), 1), bool)}

    def learned(self, width: int) -> int:
        """Return the number of parameters of W, of the batch normalisation and of the gate."""
        return self.width * (width + 2 * self.batch_norm) + self.gate

    def layers(self, prepared: Prepared) -> dict[str, nn.Module]:
        """Return the projection W, and the optional normalisation and gate."""
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
        """Return the projected vector of each distinct item."""
        import torch

        from ctrbench.distributed import batch_norm
        from ctrbench.loops.functions import product

        weight = layers["projection"].get_parameter("weight")
        projected = product(batch.image_item["vector"], weight)  # (U, width)
        if self.batch_norm:
            norm = layers["norm"]
            projected = batch_norm(
                projected,
                norm.running_mean,  # pyright: ignore[reportArgumentType]
                norm.running_var,  # pyright: ignore[reportArgumentType]
                norm.eps,  # pyright: ignore[reportArgumentType]
                norm.training,
                affine=(norm.weight, norm.bias),  # pyright: ignore[reportArgumentType]
                counted=batch.counted,
            )
        if self.gate:
            projected = projected * torch.sigmoid(layers["gate"][0])  # pyright: ignore
        missing = batch.image_item["missing"]  # (U, 1)
        return Injected(item=torch.cat([projected, missing], dim=1))

    def report(self, layers: nn.ModuleDict) -> dict[str, float]:
        """Return the value of the gate; it starts at 0.5."""
        if not self.gate:
            return {}
        return {"gate": float(layers["gate"][0].detach().sigmoid())}  # pyright: ignore
