"""Small stacks of layers on top of an encoder."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ctrbench.distributed import BatchNorm


def mlp(*sizes: int, normalised: bool = False) -> nn.Sequential:
    """Linear layers with ReLU between them; `normalised`: batch normalisation before each ReLU."""
    layers: list[nn.Module] = []
    for place, (width_in, width_out) in enumerate(pairwise(sizes), start=2):
        is_last = place == len(sizes)
        layers.append(nn.Linear(width_in, width_out, bias=is_last or not normalised))
        if not is_last:
            layers += [BatchNorm(width_out)] * normalised + [nn.ReLU()]
    return nn.Sequential(*layers)
