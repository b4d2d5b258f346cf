"""Row lookups and linear layers, with the compiled loops on a CPU, and else with torch.

Shapes: n rows, m indices, D inputs, H outputs.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ctrbench.loops._loading import run_loop, usable


def take(values: Tensor, index: Tensor) -> Tensor:
    """Return `values[index]`.

    Args:
        values: (n, ...) tensor.
        index: (m,) int64 rows.
    """
    if values.ndim == 2 and usable(values):
        return _Take.apply(values, index)  # pyright: ignore[reportReturnType]
    # on a CPU, its gradient is several times faster than that of an index in brackets
    return values.index_select(0, index)


def product(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a linear layer of the inputs, (n, H).

    Args:
        inputs: (n, D) float32.
        weight: (H, D) float32.
        bias: (H,) float32; None: no bias.
    """
    if usable(inputs) and usable(weight):
        return _Product.apply(inputs, weight, bias)  # pyright: ignore[reportReturnType]
    return F.linear(inputs, weight, bias)


def multiply(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
    """Return a matrix product, (n, H). For small matrices, it is faster than that of torch.

    Args:
        left: (n, D), contiguous or the transpose of a contiguous tensor.
        right: (D, H).
        out: (n, H), contiguous; the product is added to it.
    """
    add, held = out is not None, left if left.is_contiguous() else left.t()
    out = left.new_empty(len(left), right.shape[1]) if out is None else out
    inputs = held, *left.stride(), right.contiguous()
    run_loop("multiply", *left.shape, right.shape[1], int(add), *inputs, out)
    return out


class _Take(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, index: Tensor) -> Tensor:
        ctx.rows = len(values)
        ctx.save_for_backward(index)
        return values.index_select(0, index)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, taken: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        (index,) = ctx.saved_tensors
        total = taken.new_zeros(ctx.rows, taken.shape[1])
        run_loop("add_rows", *taken.shape, index.contiguous(), taken.contiguous(), total)
        return total, None


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        inputs = inputs.contiguous()
        ctx.save_for_backward(inputs, weight)
        return multiply(inputs, weight.t(), None if bias is None else bias.repeat(len(inputs), 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, total: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        (inputs, weight), total = ctx.saved_tensors, total.contiguous()
        to_inputs = to_weight = to_bias = None
        if ctx.needs_input_grad[0]:
            to_inputs = multiply(total, weight)
        if ctx.needs_input_grad[1]:
            to_weight = multiply(total.t(), inputs)
        if ctx.needs_input_grad[2]:
            to_bias = total.sum(dim=0)
        return to_inputs, to_weight, to_bias
