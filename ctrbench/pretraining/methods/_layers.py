"""Layers that methods train on top of an encoder."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from ctrbench.distributed import BatchNorm

HEADS = 4

Query = Literal["target", "token"]


def mlp(*sizes: int, normalised: bool = False) -> nn.Sequential:
    """Return linear layers with ReLU between them.

    Args:
        sizes: The widths of input, hidden layers and output.
        normalised: Whether batch normalisation precedes each ReLU.
    """
    layers: list[nn.Module] = []
    for place, (width_in, width_out) in enumerate(pairwise(sizes), start=2):
        is_last = place == len(sizes)
        layers.append(nn.Linear(width_in, width_out, bias=is_last or not normalised))
        if not is_last:
            layers += [BatchNorm(width_out)] * normalised + [nn.ReLU()]
    return nn.Sequential(*layers)


class Reconstruction(nn.Module):
    """COURIER's user intention reconstruction: attention over the images clicked before.

    The query is the target itself, or one learned token.

    Source: Yang et al. 2023, arXiv:2306.05001, section 3.3. Differs from the released code: history
    places without an image are masked.
    """

    def __init__(self, width: int, query: Query) -> None:
        """Create the attention layer and, if required, the token.

        Args:
            width: D, a multiple of the number of heads.
            query: `target` or `token`.
        """
        super().__init__()
        self.attention = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.token = nn.Parameter(torch.randn(width) / width**0.5) if query == "token" else None

    def forward(self, vectors: Tensor, targets: Tensor, history: Tensor) -> Tensor:
        """Return the reconstruction of each target, (n, P, D) float32.

        Places without a target contain arbitrary values.

        Args:
            vectors: (U, D) float32.
            targets: (n, P) int64, index into the vectors; -1 if there is no target.
            history: (n, H) int64, index into the vectors or -1; each row has at least one index.
        """
        if not len(targets):  # attention rejects an empty batch
            return vectors.new_zeros(*targets.shape, vectors.shape[1])
        keys = vectors[history.clamp(min=0)]  # (n, H, D)
        if self.token is None:
            queries = vectors[targets.clamp(min=0)]  # (n, P, D)
        else:
            queries = self.token.expand(*targets.shape, -1)
        found, _ = self.attention(
            queries, keys, keys, key_padding_mask=history < 0, need_weights=False
        )
        return found
