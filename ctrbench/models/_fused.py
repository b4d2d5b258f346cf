"""What every history slot goes through, on a CPU: the sums of `_blocks`, several times as fast.

A slot asks for short sums over wide arrays, so plain torch spends its time on carrying these
between memory and processor: once for every operation, and again for its gradient. Here slots go
through in groups that stay in the processor's cache, everything but a matrix product is one
compiled loop, and gradients are written out by hand. Dice needs the mean and variance of a whole
batch, so each level is a pass of its own.

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
from ctrbench.models._loading import run_loop

GROUP_ROWS = 4096  # that go through together: 1 MB for a level of 64 units
MOMENTUM = 0.1  # of moving statistics, as torch.nn.functional.batch_norm has it
DICE_EPS = 1e-8  # DIN section 5.3


class DiceState(Protocol):
    """The part of a Dice activation that is no parameter."""

    training: bool
    mean: Tensor  # (H,) moving
    variance: Tensor  # (H,) moving


class PairSum(torch.autograd.Function):
    """`of_query[row] + of_item[item] + (query[row] * items[item]) W` of every slot."""

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
        """(M,), (M,), (B, E), (U, E), (B, H), (U, H), (E, H) -> (M, H)."""
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
        """Gradients of all but the places."""
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
    """Each impression's history, weighted and summed."""

    @staticmethod
    def forward(
        ctx: Any, row: Tensor, item: Tensor, items: Tensor, weights: Tensor, rows: int
    ) -> Tensor:
        """(M,), (M,), (U, E), (M,), B -> (B, E)."""
        pooled = items.new_zeros(rows, items.shape[1])
        run_loop("pool_forward", len(row), items.shape[1], row, item, items, weights, pooled)
        ctx.save_for_backward(row, item, items, weights)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pooled: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients of items and weights."""
        row, item, items, weights = ctx.saved_tensors
        to_items, to_weights = torch.zeros_like(items), torch.empty_like(weights)
        inputs = row, item, items, weights, pooled.contiguous()
        run_loop("pool_backward", len(row), items.shape[1], *inputs, to_items, to_weights)
        return None, None, to_items, to_weights, None


class DiceLayers(torch.autograd.Function):
    """Dice and a linear layer, again and again; see `_blocks.Dice` and `_blocks.HiddenLayers`."""

    @staticmethod
    def forward(ctx: Any, dices: list[DiceState], summed: Tensor, *parameters: Tensor) -> Tensor:
        """(n, H) -> (n, last width); alpha, weight and bias of each level one after the other."""
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
        """From the last level to the first."""
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
    """The sums of one level, and what its activation needs to know of them."""

    summed: Tensor  # (n, H) before the activation
    p: Tensor  # (n, H) sigmoid of the normalised sums
    mean: Tensor  # (H,)
    inverse: Tensor  # (H,) 1 / standard deviation
    by_batch: bool  # mean and deviation are of these sums, and so depend on them

    @classmethod
    def of(cls, summed: Tensor, dice: DiceState, alpha: Tensor) -> _Level:
        summed = summed.contiguous()
        by_batch = dice.training and len(summed) > 1
        mean, variance = dice.mean, dice.variance
        if by_batch:
            mean, variance = _moments(summed)
            dice.mean.lerp_(mean, MOMENTUM)
            dice.variance.lerp_(variance * (len(summed) / (len(summed) - 1)), MOMENTUM)
        inverse = torch.rsqrt(variance + DICE_EPS)
        return cls(summed, torch.empty_like(summed), mean.clone(), inverse, by_batch)

    def scratch(self) -> Tensor:
        """Room for the activations of a group."""
        return self.summed.new_empty(GROUP_ROWS, self.summed.shape[1])

    def through_statistics(self, gradient: Tensor, of_z: Tensor, of_z_times_z: Tensor) -> Tensor:
        """Take from the (n, H) gradient what mean and deviation take; (H,) its sum over rows."""
        total, rows = torch.zeros_like(self.mean), len(gradient) if self.by_batch else torch.inf
        slope = self.inverse.square() * of_z_times_z / rows
        shift = self.inverse * of_z / rows
        inputs = self.summed, self.mean, slope, shift
        run_loop("dice_finish", *gradient.shape, *inputs, gradient, total)
        return total


def _moments(summed: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over the rows; distances from a guess at the mean do not cancel."""
    groups = list(blocks(len(summed), GROUP_ROWS))
    guess = summed[groups[0]].mean(dim=0)
    sums = summed.new_zeros(len(groups), 2, summed.shape[1])
    for rows, of_group in zip(groups, sums, strict=True):
        run_loop("moments", *summed[rows].shape, summed[rows], guess, of_group)
    first, second = sums.sum(dim=0) / len(summed)
    return guess + first, second - first.square()


def _by_level(parameters: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    return zip(parameters[::3], parameters[1::3], parameters[2::3], strict=True)
