"""The attention unit and its pooling on a CPU: the same sums as `_blocks`, in half the time.

What a history slot asks for are short sums over wide arrays, so plain torch spends its time on
carrying these between memory and processor: once for every operation, and again for its gradient.
Here the slots go through in groups that stay in the processor's cache, operations write to where
something stands already, and gradients are written out by hand. Sums over the slots of an
impression, or of an item, are `embedding_bag`s over sorted slots: several times as fast as
`index_add`. Dice needs the mean and variance of a whole batch, so each level is a pass of its own.

Shapes: B impressions, U distinct items, M slots, E item width, H units of a level.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ctrbench.impressions.packing import Batch
from ctrbench.models._blocks import DICE_EPS, Dice, HiddenLayers, PairBlock, take

GROUP_SLOTS = 2048  # that go through together: 256 kB for a level of 64 units
MOMENTUM = 0.1  # of moving statistics, as torch.nn.functional.batch_norm has it


def attention_logits(
    blocks: list[tuple[PairBlock, Tensor]],
    slot: tuple[Tensor, Tensor] | None,
    hidden: HiddenLayers,
    batch: Batch,
) -> Tensor:
    """(M,) logits of the attention unit, as the blocks' sum through the hidden layers gives them.

    Args:
        blocks: each with the (U, E) items it is for.
        slot: (H, G) weights and the (M, G) numbers of each slot, if any.
        hidden: with Dice as the activation.
        batch: with at least one slot.
    """
    items = torch.cat([values for _, values in blocks], dim=1)
    query = take(items, batch.target)  # (B, E)
    parts = [block.parts() for block, _ in blocks]
    of_query = torch.addmm(hidden.bias, query, torch.cat([part.query for part in parts]))
    of_item = items @ torch.cat([part.item for part in parts])
    of_product = torch.cat([part.product for part in parts])
    of_slot, numbers = (None, None) if slot is None else (slot[0].t(), slot[1])
    levels = list(hidden.levels())
    return _AttentionUnit.apply(
        batch,
        [dice for dice, _ in levels],
        query,
        items,
        of_query,
        of_item,
        of_product,
        numbers,
        of_slot,
        *(tensor for dice, layer in levels for tensor in (dice.alpha, layer.weight, layer.bias)),
    )


def weighted_sum(values: Tensor, weights: Tensor, batch: Batch) -> Tensor:
    """(U, E) items, (M,) weights -> (B, E): each impression's history, weighted and summed."""
    return _WeightedSum.apply(batch, values, weights)


@dataclass
class _Level:
    """Units of one level for all slots, and what its activation needs to know of them."""

    summed: Tensor  # (M, H) before the activation
    p: Tensor  # (M, H) sigmoid of the normalised sums
    alpha: Tensor  # (H,)
    mean: Tensor  # (H,)
    inverse: Tensor  # (H,) 1 / standard deviation
    by_batch: bool  # mean and deviation are of this batch, and so depend on the sums

    @classmethod
    def of(cls, summed: Tensor, dice: Dice, alpha: Tensor, groups: list[slice]) -> _Level:
        by_batch = dice.training and len(summed) > 1
        if by_batch:  # torch.var_mean along the first axis is thirty times as slow
            mean = summed.mean(dim=0)
            squares = [(summed[places] - mean).square_().sum(dim=0) for places in groups]
            variance = torch.stack(squares).sum(dim=0) / len(summed)
            dice.mean.lerp_(mean, MOMENTUM)
            dice.variance.lerp_(variance * (len(summed) / (len(summed) - 1)), MOMENTUM)
        else:
            mean, variance = dice.mean, dice.variance
        inverse = torch.rsqrt(variance + DICE_EPS)
        return cls(summed, torch.empty_like(summed), alpha, mean, inverse, by_batch)

    def activate(self, places: slice) -> Tensor:
        """(c, H) Dice of some slots, see `_blocks.Dice`; keeps p."""
        p = torch.addcmul(
            -self.mean * self.inverse, self.summed[places], self.inverse, out=self.p[places]
        ).sigmoid_()
        return torch.addcmul(self.alpha, p, 1 - self.alpha).mul_(self.summed[places])


class _LevelGradient:
    """From the gradient of a level's activations to that of its sums, and of alpha."""

    def __init__(self, level: _Level) -> None:
        self.level = level
        self.summed = torch.empty_like(level.summed)  # (M, H), not yet final
        zeros = level.alpha.new_zeros
        self.alpha, self._z, self._z_summed = (zeros(level.alpha.shape) for _ in range(3))

    def add(self, places: slice, activated: Tensor) -> Tensor:
        """Take in the (c, H) gradient of some activations, which is used up; (c, H) activations.

        With z the normalised sum s, p = sigmoid(z) and gate = alpha + (1 - alpha) p:
        d/ds (s gate) = gate + s (1 - alpha) p (1 - p) dz/ds.
        """
        level = self.level
        summed, p, rest = level.summed[places], level.p[places], 1 - level.alpha
        gate = torch.addcmul(level.alpha, p, rest)
        direct = torch.mul(activated, gate, out=self.summed[places])
        of_gate = activated.mul_(summed)
        of_z = of_gate * p
        self.alpha += of_gate.sum(dim=0) - of_z.sum(dim=0)
        of_z.addcmul_(of_z, p, value=-1).mul_(rest)
        direct.addcmul_(of_z, level.inverse)
        if level.by_batch:
            self._z += of_z.sum(dim=0)
            self._z_summed += of_z.mul_(summed).sum(dim=0)
        return gate.mul_(summed)

    def close(self) -> None:
        """All slots are in: what follows from mean and deviation can be told."""
        level, slots = self.level, len(self.summed)
        through_mean = self._z / slots
        through_deviation = level.inverse * (self._z_summed - level.mean * self._z) / slots
        self._slope = level.inverse.square() * through_deviation  # times a sum
        self._shift = level.inverse * through_mean - self._slope * level.mean

    def final(self, places: slice) -> Tensor:
        """(c, H) gradient of some sums, after `close`."""
        found = self.summed[places]
        if not self.level.by_batch:
            return found
        return found.addcmul_(self.level.summed[places], self._slope, value=-1).sub_(self._shift)


class _AttentionUnit(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        batch: Batch,
        dices: list[Dice],
        query: Tensor,
        items: Tensor,
        of_query: Tensor,
        of_item: Tensor,
        of_product: Tensor,
        numbers: Tensor | None,
        of_slot: Tensor | None,
        *parameters: Tensor,
    ) -> Tensor:
        """Arguments as in `attention_logits`; alpha, weight and bias of each level at the end."""
        slots, groups = len(batch.history), list(_groups(batch))
        summed = of_query.new_empty(slots, of_query.shape[1])
        for places in groups:
            product = _products(batch, places, query, items)[0]
            torch.index_select(of_query, 0, batch.history_row[places], out=summed[places])
            summed[places].add_(take(of_item, batch.history[places])).addmm_(product, of_product)
            if numbers is not None and of_slot is not None:
                summed[places].addmm_(numbers[places], of_slot)
        levels = []
        for dice, alpha, weight, bias in zip(
            dices, parameters[::3], parameters[1::3], parameters[2::3], strict=True
        ):
            levels.append(_Level.of(summed, dice, alpha, groups))
            summed = summed.new_empty(slots, len(bias))
            for places in groups:
                torch.addmm(bias, levels[-1].activate(places), weight.t(), out=summed[places])
        ctx.batch, ctx.groups, ctx.levels = batch, groups, levels
        ctx.save_for_backward(query, items, of_product, numbers, of_slot, *parameters)
        return summed.squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, logit: Tensor) -> Any:
        """Level by level, from the last to the first; see `_LevelGradient`."""
        query, items, of_product, numbers, of_slot, *parameters = ctx.saved_tensors
        batch: Batch = ctx.batch
        gradients: list[Tensor] = []
        following: _LevelGradient | None = None
        for level, weight in zip(reversed(ctx.levels), reversed(parameters[1::3]), strict=True):
            own = _LevelGradient(level)
            of_weight, of_bias = torch.zeros_like(weight), weight.new_zeros(len(weight))
            for places in ctx.groups:
                out = logit[places, None] if following is None else following.final(places)
                activated = own.add(places, out @ weight)
                of_weight.addmm_(out.t(), activated)
                of_bias += out.sum(dim=0)
            own.close()
            gradients = [own.alpha, of_weight, of_bias, *gradients]
            following = own
        assert following is not None
        at_query, at_item = (
            items.new_empty(len(logit), items.shape[1]) for _ in range(2)
        )  # (M, E)
        to_product = torch.zeros_like(of_product)
        to_slot = None if of_slot is None else torch.zeros_like(of_slot)
        for places in ctx.groups:
            first = following.final(places)
            product, of_row, of_history = _products(batch, places, query, items)
            to_product.addmm_(product.t(), first)
            if numbers is not None and to_slot is not None:
                to_slot.addmm_(numbers[places].t(), first)
            moved = first @ of_product.t()
            torch.mul(moved, of_history, out=at_query[places])
            torch.mul(moved, of_row, out=at_item[places])
        first = following.summed
        return (
            None,
            None,
            _sum_by_row(at_query, batch),
            _sum_by_item(at_item, batch),
            _sum_by_row(first, batch),
            _sum_by_item(first, batch),
            to_product,
            first @ of_slot.t() if ctx.needs_input_grad[7] else None,
            to_slot,
            *gradients,
        )


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, batch: Batch, values: Tensor, weights: Tensor) -> Tensor:
        """See `weighted_sum`."""
        ctx.batch = batch
        ctx.save_for_backward(values, weights)
        return F.embedding_bag(
            batch.history,
            values,
            batch.history_start,
            mode="sum",
            per_sample_weights=weights,
            include_last_offset=True,
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, summed: Tensor) -> Any:
        """An item's slots weight the gradients of their impressions."""
        values, weights = ctx.saved_tensors
        batch: Batch = ctx.batch
        to_values = F.embedding_bag(
            batch.history_row[batch.by_item],
            summed,
            batch.item_start,
            mode="sum",
            per_sample_weights=weights[batch.by_item],
            include_last_offset=True,
        )
        to_weights = torch.empty_like(weights)
        for places in _groups(batch):
            moved = take(summed, batch.history_row[places])
            moved.mul_(take(values, batch.history[places]))
            torch.sum(moved, dim=1, out=to_weights[places])
        return None, to_values, to_weights


def _groups(batch: Batch) -> Iterator[slice]:
    for start in range(0, len(batch.history), GROUP_SLOTS):
        yield slice(start, min(start + GROUP_SLOTS, len(batch.history)))


def _products(
    batch: Batch, places: slice, query: Tensor, items: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The products q * k of some slots, and q and k, (c, E) each."""
    of_row = take(query, batch.history_row[places])
    of_history = take(items, batch.history[places])
    return of_row * of_history, of_row, of_history


def _sum_by_row(values: Tensor, batch: Batch) -> Tensor:
    """(M, E) -> (B, E)."""
    places = torch.arange(len(values))
    return F.embedding_bag(
        places, values, batch.history_start, mode="sum", include_last_offset=True
    )


def _sum_by_item(values: Tensor, batch: Batch) -> Tensor:
    """(M, E) -> (U, E)."""
    return F.embedding_bag(
        batch.by_item, values, batch.item_start, mode="sum", include_last_offset=True
    )
