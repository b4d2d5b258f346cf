"""Vectors in tensors of PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Rows:
    """Slices of a tensor as arrays; bfloat16, which numpy lacks, becomes float32."""

    tensor: Any  # supports slicing by rows to tensors

    def __getitem__(self, rows: slice) -> np.ndarray:
        return as_array(self.tensor[rows])


def as_array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor as an array; bfloat16 becomes float32."""
    import torch

    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
