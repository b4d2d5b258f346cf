"""Fast CPU versions of the sums over history slots in `_blocks`.

Each slot requires short sums over wide arrays, so plain torch is limited by memory bandwidth: every
operation and every gradient reads and writes the arrays once. Here, compiled loops process slots in
blocks that fit into the nearest cache, matrix products included, and gradients are explicit. Dice
requires mean and variance of the whole batch, so each level is a separate pass. If several
processes share a batch, the statistics are those of all of them.

Shapes: B impressions, U distinct items, M slots, E item width, S slot width, H units of a level,
n rows of any kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ctrbench.distributed import MOMENTUM, Processes
from ctrbench.loops import BLOCK_ROWS, run_loop
from ctrbench.loops.functions import multiply

DICE_EPS = 1e-8  # DIN section 5.3


class DiceState(Protocol):
    """The state of a Dice activation, without its parameters."""

    training: bool
    mean: Tensor  # (H,) moving
    variance: Tensor  # (H,) moving


class PairSum(torch.autograd.Function):
    """Computes `bias + q Q + k K + (q * k) W + slot V` per slot, see `_blocks.PairBlock`."""

    @staticmethod
    def forward(
        ctx: Any,
        row: Tensor,
        item: Tensor,
        target: Tensor,
        items: Tensor,
        bias: Tensor,
        of_query: Tensor,
        of_item: Tensor,
        of_product: Tensor,
        slot: Tensor,
        of_slot: Tensor,
    ) -> Tensor:
        """Return (M, H).

        Args:
            ctx: The context of the function.
            row: (M,) int64, the impression of each slot.
            item: (M,) int64, the distinct item of each slot.
            target: (B,) int64, the distinct item of each impression.
            items: (U, E), the distinct items.
            bias: (H,).
            of_query: Q, (E, H).
            of_item: K, (E, H).
            of_product: W, (E, H).
            slot: (M, S).
            of_slot: V, (S, H).
        """
        (width, hidden), slot = of_product.shape, slot.contiguous()
        query = items.index_select(0, target)
        per_row = multiply(query, of_query, bias.repeat(len(query), 1))
        sums = per_row, multiply(items, of_item)
        summed, product = items.new_empty(len(row), hidden), items.new_empty(BLOCK_ROWS, width)
        weights = of_product.contiguous(), slot, of_slot.contiguous()
        inputs = row, item, query, items, *sums, *weights, product
        run_loop("pair_forward", len(row), width, slot.shape[1], hidden, *inputs, summed)
        weights = of_query, of_item, of_product, of_slot
        ctx.save_for_backward(row, item, target, query, items, slot, *weights)
        return summed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, summed: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the gradients of all inputs except the indices."""
        row, item, target, query, items, slot, *weights = ctx.saved_tensors
        of_query, of_item, of_product, of_slot = weights
        (width, hidden), slot_width = of_product.shape, slot.shape[1]
        zeros = items.new_zeros
        to_sums = zeros(len(query), hidden), zeros(len(items), hidden)
        to_query, to_items = torch.zeros_like(query), torch.zeros_like(items)
        to_slot = torch.empty_like(slot)
        to_product, to_of_slot = zeros(width, hidden), zeros(slot_width, hidden)
        by_hidden = of_product.t().contiguous(), slot, of_slot.t().contiguous()
        inputs = row, item, query, items, *by_hidden, summed.contiguous()
        scratch = items.new_empty(2, BLOCK_ROWS, width)
        outputs = to_query, to_items, *to_sums, to_product, to_slot, to_of_slot
        sizes = len(row), width, slot_width, hidden
        run_loop("pair_backward", *sizes, *inputs, *scratch, *outputs)
        multiply(to_sums[0], of_query.t(), to_query)
        multiply(to_sums[1], of_item.t(), to_items)
        run_loop("add_rows", len(target), width, target, to_query, to_items)
        to_weights = multiply(query.t(), to_sums[0]), multiply(items.t(), to_sums[1]), to_product
        return None, None, None, to_items, to_sums[0].sum(dim=0), *to_weights, to_slot, to_of_slot


class WeightedSum(torch.autograd.Function):
    """Computes the weighted sum over the history of each impression."""

    @staticmethod
    def forward(
        ctx: Any, row: Tensor, item: Tensor, items: Tensor, weights: Tensor, rows: int
    ) -> Tensor:
        """Map (M,), (M,), (U, E), (M,), B to (B, E)."""
        pooled = items.new_zeros(rows, items.shape[1])
        run_loop("pool_forward", len(row), items.shape[1], row, item, items, weights, pooled)
        ctx.save_for_backward(row, item, items, weights)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pooled: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the gradients of items and weights."""
        row, item, items, weights = ctx.saved_tensors
        to_items, to_weights = torch.zeros_like(items), torch.empty_like(weights)
        inputs = row, item, items, weights, pooled.contiguous()
        run_loop("pool_backward", len(row), items.shape[1], *inputs, to_items, to_weights)
        return None, None, to_items, to_weights, None


class DiceLayers(torch.autograd.Function):
    """Computes alternating Dice and linear layers; see `_blocks.Dice` and `HiddenLayers`."""

    @staticmethod
    def forward(ctx: Any, dices: list[DiceState], summed: Tensor, *parameters: Tensor) -> Tensor:
        """Map (n, H) to (n, last width); parameters are alpha, weight and bias of each level."""
        levels = []
        for dice, (alpha, weight, bias) in zip(dices, _by_level(parameters), strict=True):
            level = _Level.of(summed, dice)
            width, of_weight = len(bias), weight.t().contiguous()
            summed = summed.new_empty(len(summed), width)
            scratch = summed.new_empty(BLOCK_ROWS, len(alpha))
            inputs = *level.inputs, alpha, of_weight, bias, scratch
            run_loop("dice_forward", *level.summed.shape, width, *inputs, summed)
            levels.append(level)
        ctx.levels = levels
        ctx.save_for_backward(*parameters)
        return summed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, summed: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the gradients, computed from the last level to the first."""
        out, to_bias = summed.contiguous(), summed.sum(dim=0)
        gradients: list[Tensor] = []
        parameters = list(_by_level(ctx.saved_tensors))
        for level, (alpha, weight, _) in zip(
            reversed(ctx.levels), reversed(parameters), strict=True
        ):
            own, to_weight = torch.empty_like(level.summed), torch.zeros_like(weight)
            sums, scratch = own.new_zeros(3, len(alpha)), own.new_empty(BLOCK_ROWS + 3, len(alpha))
            inputs = *level.inputs, alpha, weight.contiguous(), out, scratch
            run_loop("dice_backward", *own.shape, len(weight), *inputs, own, to_weight, sums)
            to_alpha, of_z, of_z_times_z = sums
            gradients = [to_alpha, to_weight, to_bias, *gradients]
            out, to_bias = own, level.through_statistics(own, of_z, of_z_times_z)
        return None, out, *gradients


@dataclass
class _Level:
    """The sums of one level, and the statistics that its activation uses."""

    summed: Tensor  # (n, H) before the activation
    mean: Tensor  # (H,)
    inverse: Tensor  # (H,) 1 / standard deviation
    rows: float  # on which mean and deviation depend, in all processes; infinity: on none
    across: Processes | None  # that share these statistics

    @classmethod
    def of(cls, summed: Tensor, dice: DiceState) -> _Level:
        summed = summed.contiguous()
        mean, variance, rows, across = dice.mean, dice.variance, 0.0, None
        if dice.training:
            across = Processes()
            rows, *moments = across.moments(len(summed), *_moments(summed))
            if rows > 1:
                mean, variance = moments
                dice.mean.lerp_(mean, MOMENTUM)
                dice.variance.lerp_(variance * (rows / (rows - 1)), MOMENTUM)
        inverse = torch.rsqrt(variance + DICE_EPS)
        return cls(summed, mean.clone(), inverse, rows if rows > 1 else torch.inf, across)

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.summed, self.mean, self.inverse

    def through_statistics(self, gradient: Tensor, of_z: Tensor, of_z_times_z: Tensor) -> Tensor:
        """Add the gradient through mean and deviation, in place; return its row sum, (H,)."""
        total = torch.zeros_like(self.mean)
        if self.across is not None:
            of_z, of_z_times_z = self.across.sum(torch.stack([of_z, of_z_times_z]))
        slope = self.inverse.square() * of_z_times_z / self.rows
        shift = self.inverse * of_z / self.rows
        inputs = self.summed, self.mean, slope, shift
        run_loop("dice_finish", *gradient.shape, *inputs, gradient, total)
        return total


def _moments(summed: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance over the rows, (H,) each."""
    sums, mean, variance = (summed.new_empty(count, summed.shape[1]) for count in (2, 1, 1))
    run_loop("moments", *summed.shape, summed, sums, mean, variance)
    return mean[0], variance[0]


def _by_level(parameters: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    return zip(parameters[::3], parameters[1::3], parameters[2::3], strict=True)
