"""One step of pre-training: encode, loss, gradient, also of batches that do not fit at once.

A batch's images are encoded in parts without a gradient; the loss's gradient with regard to the
vectors is taken; then each part is encoded again and passed its share of it. The sum is the
gradient of the whole batch, in the memory of one part.

Source: Gao et al. 2021, arXiv:2101.06983.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ctrbench.arrays import blocks
from ctrbench.distributed import Processes
from ctrbench.pretraining.methods import PretrainMethod
from ctrbench.pretraining.settings import PretrainSettings
from ctrbench.pretraining.sources import ImageSource
from ctrbench.seeding import scoped_torch_seed


@dataclass(frozen=True)
class Step:
    """Takes gradients; what is random in it depends on the seed and on the step's number alone.

    An item's views do not depend on the part or the process that it falls to. What a network draws
    itself (dropout, `swin_t`'s dropped layers) does: it is drawn for a part at once.
    """

    method: PretrainMethod
    source: ImageSource
    settings: PretrainSettings
    across: Processes
    network: nn.Module
    layers: nn.ModuleDict

    def gradients(self, batch: Any, number: int, scaler: torch.amp.GradScaler) -> dict[str, float]:
        """Add the step's gradients to all parameters; returns the terms of the global loss."""
        parts = list(self._parts(batch.item_id))
        if len(parts) == 1:
            vectors = self._encode(*parts[0], number)
            terms = self._terms(vectors, batch)
            scaler.scale(sum_of(terms)).backward()
        else:
            with torch.no_grad():
                encoded = [self._encode(*part, number) for part in parts]
            vectors = torch.cat(encoded).detach().requires_grad_()
            terms = self._terms(vectors, batch)
            scaler.scale(sum_of(terms)).backward()
            assert vectors.grad is not None
            shares = vectors.grad.split([len(one) for one in encoded])
            for part, share in zip(parts, shares, strict=True):
                self._encode(*part, number).backward(share)
        self.across.add_up_gradients(learned(self.network, self.layers))
        return {name: self.across.total(float(term.detach())) for name, term in terms.items()}

    def _terms(self, vectors: Tensor, batch: Any) -> dict[str, Tensor]:
        count, width = len(batch.item_id), self.settings.width
        views = vectors.float().view(2 if self.method.augmented else 1, count, width)
        return self.method.loss(self.layers, views, batch, self.across)

    def _parts(self, item_id: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
        """View, place and items of each part, one view after the other."""
        most = self.settings.images_at_once
        for view in range(2 if self.method.augmented else 1):
            for rows in blocks(max(len(item_id), 1), most):
                yield view, rows.start, item_id[rows]

    def _encode(self, view: int, place: int, item_id: np.ndarray, number: int) -> Tensor:
        """(n, D); the same for the same arguments."""
        if not len(item_id):  # not every network takes an empty batch
            width, device = self.settings.width, self.settings.device
            return torch.zeros(0, width, device=device, requires_grad=True)
        seed, name = self.settings.seed, (number, self.across.rank, view, place)
        random = (seed, ("view", number, view)) if self.method.augmented else None
        device, half = self.settings.device, self.settings.precision == "float16"
        inputs = self.source.inputs(item_id, random).to(device)
        with (
            scoped_torch_seed(seed, "encoder", *name),
            torch.autocast(torch.device(device).type, torch.float16, enabled=half),
        ):
            return self.network(inputs)


def learned(*modules: nn.Module) -> list[nn.Parameter]:
    """The parameters that have a gradient."""
    return [one for module in modules for one in module.parameters() if one.requires_grad]


def sum_of(terms: dict[str, Tensor]) -> Tensor:
    """The loss."""
    return torch.stack(list(terms.values())).sum()
