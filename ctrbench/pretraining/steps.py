"""One step of pre-training, with gradient caching for batches that exceed memory.

The images of a batch are encoded in parts without gradient, and the gradient of the loss with
respect to the vectors is computed. Then each part is encoded again, with gradient, and propagates
its share. The sum is the gradient of the whole batch, in the memory of one part.

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
    """Computes gradients; all random numbers depend only on the seed and the number of the step.

    The views of an item do not depend on its part or process. Random numbers inside a network
    (dropout, stochastic depth of `swin_t`) depend on both, because they are drawn per part.
    """

    method: PretrainMethod
    source: ImageSource
    settings: PretrainSettings
    across: Processes
    network: nn.Module
    layers: nn.ModuleDict

    def gradients(self, batch: Any, number: int, scaler: torch.amp.GradScaler) -> dict[str, float]:
        """Add the gradients of a step to all parameters; return the terms of the global loss.

        Args:
            batch: The batch of this process.
            number: The number of the step.
            scaler: Scales the loss in float16.
        """
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
        self.across.add_up_gradients(trainable(self.network, self.layers))
        return {name: self.across.total(float(term.detach())) for name, term in terms.items()}

    def _terms(self, vectors: Tensor, batch: Any) -> dict[str, Tensor]:
        count, width = len(batch.item_id), self.settings.width
        views = vectors.float().view(2 if self.method.augmented else 1, count, width)
        return self.method.loss(self.layers, views, batch.to(vectors.device), self.across)

    def _parts(self, item_id: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield view, position and items of each part, view by view."""
        most = self.settings.images_at_once
        for view in range(2 if self.method.augmented else 1):
            for rows in blocks(max(len(item_id), 1), most):
                yield view, rows.start, item_id[rows]

    def _encode(self, view: int, place: int, item_id: np.ndarray, number: int) -> Tensor:
        """Return the vectors of a part, (n, D); deterministic in its arguments."""
        if not len(item_id):  # some networks reject an empty batch
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


def trainable(*modules: nn.Module) -> list[nn.Parameter]:
    """Return the trainable parameters of modules."""
    return [one for module in modules for one in module.parameters() if one.requires_grad]


def sum_of(terms: dict[str, Tensor]) -> Tensor:
    """Return the loss, the sum of the terms."""
    return torch.stack(list(terms.values())).sum()
