"""`din`: the Deep Interest Network, and average pooling as its variant without attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ctrbench.batches.packing import Batch
from ctrbench.injection import Injected
from ctrbench.models._base import Backbone, Reading
from ctrbench.models._blocks import (
    HiddenLayers,
    PairBlock,
    linear,
    pair_sum,
    sum_rows,
    weighted_sum,
)
from ctrbench.settings import ModelSettings


class DIN(Backbone):
    """Deep Interest Network: attention over the clicked items with the target as query.

    Both first layers are sums of the bias-free blocks `id` and `image`, which draw from separate
    streams. With `attention_weights: uniform` the model has no attention unit and averages
    histories.

    Source: Zhou et al. 2018, arXiv:1706.06978, section 4.3. As in the paper, attention weights are
    not normalised by default.
    """

    def build(self, item_width: int) -> int:
        """Create the attention unit; return the item width."""
        settings, seed = self.settings, self.seed
        if settings.attention_weights != "uniform":
            hidden = settings.attention[0]
            self.attention_id = PairBlock(item_width, hidden, seed, "attention.id")
            self.attention = HiddenLayers(settings.attention, settings, seed, "attention")
        return item_width

    def build_image(
        self, item_width: int | None, slot_width: int | None
    ) -> tuple[dict[str, nn.Module], int]:
        """Create the image blocks of the attention unit; its weights also pool the images."""
        blocks: dict[str, nn.Module] = {}
        if self.settings.attention_weights != "uniform":
            hidden, seed = self.settings.attention[0], self.seed
            if item_width is not None:
                name = "attention.image.item"
                blocks["attention_item"] = PairBlock(item_width, hidden, seed, name)
            if slot_width is not None:
                name = "attention.image.slot"
                blocks["attention_slot"] = linear(slot_width, hidden, seed, name)
        return blocks, (item_width or 0) + (slot_width or 0)

    @classmethod
    def read_numbers(cls, settings: ModelSettings, rows: int, slots: int, longest: int) -> int:
        """Return the numbers of the attention unit; see `Backbone`."""
        indices = 4  # two of 64 bits
        if settings.attention_weights == "uniform":
            return slots * indices
        levels = 2 * sum(settings.attention)  # inputs and outputs of the activations
        if settings.activation == "dice":
            # inputs and gradients; those of the previous step exist until its loss is replaced
            indices *= 2
        return slots * (levels + indices)

    def read(self, items: Tensor, injected: Injected, batch: Batch) -> Reading:
        """Return the weighted sums of the items and of the injected parts."""
        rows = batch.target.shape[0]
        if self.settings.attention_weights == "uniform":
            ones = items.new_ones(batch.history.shape[0], 1)
            count = sum_rows(ones, batch.history_row, rows)  # (B, 1)
            weights = 1 / count[batch.history_row, 0]
        else:
            weights = self._attention_weights(items, injected, batch)  # (M,)
        images = []
        if injected.item is not None:
            images.append(weighted_sum(injected.item, weights, batch))
        if injected.slot is not None:
            weighted = weights[:, None] * injected.slot
            images.append(sum_rows(weighted, batch.history_row, rows))
        return Reading(weighted_sum(items, weights, batch), images)

    def _attention_weights(self, items: Tensor, injected: Injected, batch: Batch) -> Tensor:
        """Return the attention weight of each history item, (M,)."""
        pairs = [(self.attention_id, items)]
        if injected.item is not None:
            pairs.append((self.image["attention_item"], injected.item))  # pyright: ignore
        slot = None
        if injected.slot is not None:
            weight = self.image["attention_slot"].get_parameter("weight").t()
            # contiguous, so that autograd computes (S, M) x (M, H), ten times as fast as
            # its alternative, (H, M) x (M, S)
            slot = injected.slot, weight.contiguous()
        hidden = pair_sum(pairs, batch, self.attention.bias, slot)  # (M, H)
        logit = self.attention(hidden)
        if injected.attention is not None:
            scale, shift = injected.attention
            logit = scale * logit + shift
        if self.settings.attention_weights == "softmax":
            return _softmax_by_row(logit, batch.history_row, batch.target.shape[0])
        return logit


def _softmax_by_row(logit: Tensor, row: Tensor, rows: int) -> Tensor:
    """Return the softmax over the history of each impression, (M,)."""
    highest = logit.new_zeros(rows).scatter_reduce(
        0, row, logit.detach(), "amax", include_self=False
    )
    weight = torch.exp(logit - highest[row])
    return weight / weight.new_zeros(rows).index_add(0, row, weight)[row]
