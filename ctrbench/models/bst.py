"""`bst`: a Transformer over the clicked items and the target."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctrbench.batches.packing import Batch
from ctrbench.injection import Injected
from ctrbench.loops.functions import take
from ctrbench.models._base import Backbone, Reading
from ctrbench.models._blocks import embedding, linear
from ctrbench.settings import ModelSettings

HEADS = 2
WIDER = 4  # width of the feed-forward layer relative to a token


class BST(Backbone):
    """Behaviour Sequence Transformer with one block of full self-attention.

    The target is the first token; the clicks follow, latest first. A token is the sum of bias-free
    blocks of its ids and its image, and of a learned position. Attention changes of a mode apply to
    the logits of the target. The last MLP receives the output of the target and the mean output of
    the clicks.

    Differs from the paper: positions count clicks instead of elapsed time, since not every log has
    timestamps. The outputs of the clicks are averaged instead of concatenated, so that histories
    may have any length.

    Source: Chen et al. 2019, arXiv:1905.06874, section 2.
    """

    def build(self, item_width: int) -> int:
        """Create the Transformer block; return twice the token width."""
        settings, seed = self.settings, self.seed
        width = settings.transformer_width
        self.token_id = linear(item_width, width, seed, "bst.id")
        std = settings.embedding_std
        self.position = embedding(settings.history_length + 1, width, std, seed, "bst.position")
        self.query, self.key, self.value, self.out = (
            linear(width, width, seed, f"bst.{name}", bias=True)
            for name in ("query", "key", "value", "out")
        )
        self.wide = linear(width, WIDER * width, seed, "bst.wide", bias=True)
        self.narrow = linear(WIDER * width, width, seed, "bst.narrow", bias=True)
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        return 2 * width

    def build_image(
        self, item_width: int | None, slot_width: int | None
    ) -> tuple[dict[str, nn.Module], int]:
        """Create the blocks that add image information to the tokens."""
        width, blocks = self.settings.transformer_width, {}
        if item_width is not None:
            blocks["token_item"] = linear(item_width, width, self.seed, "bst.image.item")
        if slot_width is not None:
            blocks["token_slot"] = linear(slot_width, width, self.seed, "bst.image.slot")
        return blocks, 0

    @classmethod
    def read_numbers(cls, settings: ModelSettings, rows: int, slots: int, longest: int) -> int:
        """Return the numbers of the attention and the feed-forward layer; see `Backbone`."""
        tokens = 1 + longest  # every history is padded
        logits = 3 * HEADS * tokens  # of a token: logits, masked logits, weights
        features = (4 + 2 * WIDER) * settings.transformer_width  # query, key, value, sum; wide
        return rows * tokens * (logits + features)

    def read(self, items: Tensor, injected: Injected, batch: Batch) -> Reading:
        """Return the output of the target, and the mean output of the clicks (zero without)."""
        row, rows = batch.history_row, batch.target.shape[0]
        length = row.new_zeros(rows).index_add(0, row, torch.ones_like(row))
        place = length.cumsum(0)[row] - torch.arange(row.shape[0], device=row.device)  # latest: 1
        tokens = self.token_id(items)  # (U, D)
        if injected.item is not None:
            tokens = tokens + self.image["token_item"](injected.item)
        clicks = take(tokens, batch.history) + self.position(place)  # (M, D)
        if injected.slot is not None:
            clicks = clicks + self.image["token_slot"](injected.slot)
        target = take(tokens, batch.target) + self.position.weight[0]

        if torch.compiler.is_compiling():  # an exported graph cannot depend on values
            longest = self.settings.history_length
        else:
            longest = int(length.max()) if rows else 0
        padded = target.new_zeros(rows, 1 + longest, target.shape[1])
        padded = padded.index_put((row, place), clicks)
        padded = torch.cat([target[:, None], padded[:, 1:]], dim=1)  # (B, 1 + L, D)
        known = torch.arange(1 + longest, device=row.device) <= length[:, None]  # (B, 1 + L)
        scale, shift = target.new_ones(known.shape), target.new_zeros(known.shape)
        if injected.attention is not None:
            scale, shift = (
                start.index_put((row, place), value)
                for start, value in zip((scale, shift), injected.attention, strict=True)
            )
        made = self._block(padded, known, scale, shift)
        total = (made[:, 1:] * known[:, 1:, None]).sum(dim=1)
        return Reading(torch.cat([made[:, 0], total / length.clamp(min=1)[:, None]], dim=1))

    def _block(self, tokens: Tensor, known: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Map (B, T, D) to (B, T, D); `scale` and `shift`, (B, T), change the target's logits."""
        rows, count, width = tokens.shape

        def by_head(layer: nn.Linear) -> Tensor:
            return layer(tokens).view(rows, count, HEADS, width // HEADS).transpose(1, 2)

        query, key, value = by_head(self.query), by_head(self.key), by_head(self.value)
        logit = query @ key.transpose(2, 3) / (width / HEADS) ** 0.5  # (B, heads, T, T)
        of_target = scale[:, None] * logit[:, :, 0] + shift[:, None]
        logit = torch.cat([of_target[:, :, None], logit[:, :, 1:]], dim=2)
        weights = logit.masked_fill(~known[:, None, None], -torch.inf).softmax(dim=3)
        seen = (weights @ value).transpose(1, 2).reshape(rows, count, width)
        first, second = self.norms
        tokens = first(tokens + self.out(seen))
        return second(tokens + self.narrow(F.leaky_relu(self.wide(tokens))))
