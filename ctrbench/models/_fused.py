"""Fast CPU versions of the sums over history slots in `_blocks`.

Each slot requires short sums over wide arrays, so plain torch is limited by memory bandwidth: every
operation and every gradient reads and writes the arrays once. Here, slots are processed in groups
that fit into the processor cache. Matrix products use torch, all other operations use compiled
loops, and gradients are explicit. Dice requires mean and variance of the whole batch, so each level
is a separate pass. If several processes share a batch, the statistics are those of all of them.

Shapes: B impressions, U distinct items, M slots, E item width, H units of a level, n rows of any
kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ctrbench.arrays import blocks
from ctrbench.distributed import MOMENTUM, Processes
from ctrbench.models._loading import run_loop

GROUP_ROWS = 4096  # of a group: 1 MB for a level of 64 units
DICE_EPS = 1e-8  # DIN section 5.3


class DiceState(Protocol):
    """The state of a Dice activation, without its parameters."""

    training: bool
    mean: Tensor  # (H,) moving
    variance: Tensor  # (H,) moving


class PairSum(torch.autograd.Function):
    """Computes `of_query[row] + of_item[item] + (query[row] * items[item]) W` per slot."""

    @staticmethod
    def forward(
        ctx: Any,
        row: Tensor,
        item: Tensor,
        query: Tensor,
        items: Tensor,
        of_query: Tensor,
        of_item: Tensor,
        of_product: Tensor,
    ) -> Tensor:
        """Map (M,), (M,), (B, E), (U, E), (B, H), (U, H), (E, H) to (M, H)."""
        width, hidden = of_product.shape
        summed, scratch = query.new_empty(len(row), hidden), query.new_empty(GROUP_ROWS, width)
        for rows in blocks(len(row), GROUP_ROWS):
            product, out = scratch[: rows.stop - rows.start], summed[rows]
            sizes = len(out), width, hidden
            inputs = row[rows], item[rows], query, items, of_query, of_item
            run_loop("pair_forward", *sizes, *inputs, product, out)
            out.addmm_(product, of_product)
        ctx.save_for_backward(row, item, query, items, of_product)
        return summed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, summed: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the gradients of all inputs except the indices."""
        row, item, query, items, of_product = ctx.saved_tensors
        width, hidden = of_product.shape
        summed = summed.contiguous()
        to_query, to_items = torch.zeros_like(query), torch.zeros_like(items)
        to_of_query, to_of_item = (query.new_zeros(len(of), hidden) for of in (query, items))
        to_product = torch.zeros_like(of_product)
        scratch = query.new_empty(2, GROUP_ROWS, width)
        for rows in blocks(len(row), GROUP_ROWS):
            moved, product = scratch[:, : rows.stop - rows.start]
            torch.mm(summed[rows], of_product.t(), out=moved)
            sizes = len(moved), width, hidden
            inputs = row[rows], item[rows], query, items, moved, summed[rows]
            outputs = product, to_query, to_items, to_of_query, to_of_item
            run_loop("pair_backward", *sizes, *inputs, *outputs)
            to_product.addmm_(product.t(), summed[rows])
        return None, None, to_query, to_items, to_of_query, to_of_item, to_product


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
            level = _Level.of(summed, dice, alpha)
            summed = summed.new_empty(len(summed), len(bias))
            scratch = level.scratch()
            for rows in blocks(len(summed), GROUP_ROWS):
                activated = scratch[: rows.stop - rows.start]
                inputs = level.summed[rows], level.mean, level.inverse, alpha, level.p[rows]
                run_loop("dice_forward", *activated.shape, *inputs, activated)
                torch.addmm(bias, activated, weight.t(), out=summed[rows])
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
            own, to_weight, scratch = torch.empty_like(level.p), weight * 0, level.scratch()
            groups = list(blocks(len(out), GROUP_ROWS))
            sums = own.new_zeros(len(groups), 3, len(alpha))
            for rows, of_group in zip(groups, sums, strict=True):
                activated, gradient = scratch[: rows.stop - rows.start], own[rows]
                torch.mm(out[rows], weight, out=gradient)
                inputs = level.summed[rows], level.mean, level.inverse, alpha, level.p[rows]
                run_loop("dice_backward", *gradient.shape, *inputs, gradient, activated, of_group)
                to_weight.addmm_(out[rows].t(), activated)
            to_alpha, of_z, of_z_times_z = sums.sum(dim=0)
            gradients = [to_alpha, to_weight, to_bias, *gradients]
            out, to_bias = own, level.through_statistics(own, of_z, of_z_times_z)
        return None, out, *gradients


@dataclass
class _Level:
    """The sums of one level, and the statistics that its activation uses."""

    summed: Tensor  # (n, H) before the activation
    p: Tensor  # (n, H) sigmoid of the normalised sums
    mean: Tensor  # (H,)
    inverse: Tensor  # (H,) 1 / standard deviation
    rows: float  # on which mean and deviation depend, in all processes; infinity: on none
    across: Processes | None  # that share these statistics

    @classmethod
    def of(cls, summed: Tensor, dice: DiceState, alpha: Tensor) -> _Level:
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
        rows = rows if rows > 1 else torch.inf
        return cls(summed, torch.empty_like(summed), mean.clone(), inverse, rows, across)

    def scratch(self) -> Tensor:
        """Return a buffer for the activations of a group."""
        return self.summed.new_empty(GROUP_ROWS, self.summed.shape[1])

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
    """Return mean and variance over the rows; an estimated mean avoids cancellation."""
    groups = list(blocks(len(summed), GROUP_ROWS))
    guess = summed[groups[0]].mean(dim=0)
    sums = summed.new_zeros(len(groups), 2, summed.shape[1])
    for rows, of_group in zip(groups, sums, strict=True):
        run_loop("moments", *summed[rows].shape, summed[rows], guess, of_group)
    first, second = sums.sum(dim=0) / len(summed)
    return guess + first, second - first.square()


def _by_level(parameters: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    return zip(parameters[::3], parameters[1::3], parameters[2::3], strict=True)
