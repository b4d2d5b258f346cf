"""Reconstruct an image from the images clicked before: COURIER's user intention reconstruction."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

HEADS = 4

Query = Literal["target", "token"]


class Reconstruction(nn.Module):
    """Attention over clicked images; the query is the target itself, or one learned token.

    Source: COURIER (Yang et al. 2023, arXiv:2306.05001), section 3.3. Places of a history without
    an image are masked; the released code attends to them.
    """

    def __init__(self, width: int, query: Query) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.token = nn.Parameter(torch.randn(width) / width**0.5) if query == "token" else None

    def forward(self, vectors: Tensor, targets: Tensor, history: Tensor) -> Tensor:
        """What the history makes of each target.

        Args:
            vectors: (U, D).
            targets: (n, P) int64, index into the vectors; -1: none there.
            history: (n, H) int64, at least one place of each row filled.

        Returns:
            (n, P, D); anything where there is no target.
        """
        if not len(targets):  # the attention cannot take nothing
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
