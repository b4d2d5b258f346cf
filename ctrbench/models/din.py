"""The Deep Interest Network with ID embeddings, open to any injection mode."""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor, nn

from ctrbench.errors import ContractError
from ctrbench.impressions.packing import Batch, InputSizes
from ctrbench.injection import Injected, Injection, Prepared
from ctrbench.models._blocks import (
    HiddenLayers,
    Numbers,
    PairBlock,
    embed,
    embedding,
    linear,
    pair_sum,
    sum_rows,
    take,
    weighted_sum,
)
from ctrbench.seeding import scoped_torch_seed
from ctrbench.settings import ModelSettings


class DIN(nn.Module):
    """Attention over the clicked items with the target as query, then an MLP.

    Both first layers are sums of bias-free blocks, `id` and `image`, each drawn from its own
    stream. So a baseline and its injected sibling of the same seed share every draw, and with
    the image blocks at zero their logits are equal.

    Source: Zhou et al. 2018, arXiv:1706.06978, section 4.3; weights not normalised, as there.
    """

    def __init__(
        self,
        sizes: InputSizes,
        settings: ModelSettings,
        mode: Injection,
        prepared: Prepared,
        probe: Batch,
        seed: int,
    ) -> None:
        """Draw all parameters.

        Args:
            sizes: of the tables and inputs.
            settings: widths and choices.
            mode: what adds image information.
            prepared: what the mode prepared.
            probe: any batch; the mode is run on it once to learn the widths it injects.
            seed: of the cell.
        """
        super().__init__()
        self.mode, self.settings = mode, settings

        def table(rows: int, width: int, name: str) -> nn.Embedding:
            return embedding(rows, width, settings.embedding_std, seed, name)

        width = settings.field_embedding_size
        self.id_embedding = table(sizes.item_rows, settings.embedding_size, "item_id")
        self.item_tables = nn.ModuleDict(
            {
                _key(name): table(rows, width, f"item.{name}")
                for name, rows in sizes.item_codes.items()
            }
        )
        self.row_tables = nn.ModuleDict(
            {
                _key(name): table(rows, width, f"row.{name}")
                for name, rows in sizes.row_codes.items()
            }
        )
        self.item_numbers = Numbers(sizes.item_numbers, width, settings.embedding_std, seed, "item")
        self.row_numbers = Numbers(sizes.row_numbers, width, settings.embedding_std, seed, "row")
        item_fields = len(self.item_tables) + sizes.item_numbers
        item_width = settings.embedding_size + width * item_fields
        row_width = width * (len(self.row_tables) + sizes.row_numbers)
        self.attention_id = PairBlock(item_width, settings.attention[0], seed, "attention.id")
        self.top_id = linear(row_width + 2 * item_width, settings.top[0], seed, "top.id")
        self.attention = HiddenLayers(settings.attention, settings, seed, "attention")
        self.top = HiddenLayers(settings.top, settings, seed, "top")

        with scoped_torch_seed(seed, "image"):
            self.image_layers = nn.ModuleDict(mode.layers(prepared))
        self.image = self._image_blocks(probe, seed)
        starting_ids = mode.starting_ids(prepared, settings)
        if starting_ids is not None:
            start = torch.from_numpy(starting_ids)
            with torch.no_grad():
                self.id_embedding.weight.copy_(
                    torch.where(start.isnan(), self.id_embedding.weight, start)
                )

    def forward(self, batch: Batch) -> Tensor:
        """(B,) logits of a click."""
        rows = batch.target.shape[0]
        items = self._items(batch)  # (U, E)
        injected = self.mode.inject(self.image_layers, batch)
        weights = self._attention_weights(items, injected, batch)  # (M,)
        inputs = [
            *(
                embed(self.row_tables[_key(name)], codes, rows)
                for name, codes in batch.row_codes.items()
            ),
            self.row_numbers(batch.row_numbers),
            take(items, batch.target),
            weighted_sum(items, weights, batch),
        ]
        hidden = self.top_id(torch.cat(inputs, dim=1))  # (B, H)
        image_inputs: list[Tensor] = []
        if injected.item is not None:
            image_inputs += [
                take(injected.item, batch.target),
                weighted_sum(injected.item, weights, batch),
            ]
        if injected.slot is not None:
            weighted = weights[:, None] * injected.slot
            image_inputs.append(sum_rows(weighted, batch.history_row, rows))
        if injected.target is not None:
            image_inputs.append(injected.target)
        if image_inputs:
            hidden = hidden + self.image["top"](torch.cat(image_inputs, dim=1))
        return self.top(hidden)

    def tables(self) -> list[nn.Embedding]:
        """The embedding tables of ids and fields."""
        found = [self.id_embedding, *self.item_tables.values(), *self.row_tables.values()]
        return [table for table in found if isinstance(table, nn.Embedding)]

    def image_parameters(self) -> list[nn.Parameter]:
        """Everything a baseline does not have: the mode's layers and its input blocks."""
        return [*self.image_layers.parameters(), *self.image.parameters()]

    def _items(self, batch: Batch) -> Tensor:
        """(U, E): the ID embedding and the embedded fields of each distinct item."""
        count = batch.item_id.shape[0]
        parts = [self.id_embedding(batch.item_id)]
        for name, codes in batch.item_codes.items():
            parts.append(embed(self.item_tables[_key(name)], codes, count))
        return torch.cat([*parts, self.item_numbers(batch.item_numbers)], dim=1)

    def _attention_weights(self, items: Tensor, injected: Injected, batch: Batch) -> Tensor:
        """(M,): how much each clicked item counts for the target."""
        pairs = [(self.attention_id, items)]
        if injected.item is not None:
            pairs.append((self.image["attention_item"], injected.item))  # pyright: ignore
        hidden = pair_sum(pairs, batch)  # (M, H)
        if injected.slot is not None:
            hidden = hidden + self.image["attention_slot"](injected.slot)
        logit = self.attention(hidden)
        if injected.attention is not None:
            scale, shift = injected.attention
            logit = scale * logit + shift
        if self.settings.attention_weights == "softmax":
            return _softmax_by_row(logit, batch.history_row, batch.target.shape[0])
        return logit

    def _image_blocks(self, probe: Batch, seed: int) -> nn.ModuleDict:
        """Input blocks of the widths that the mode injects."""
        attention, top = self.settings.attention[0], self.settings.top[0]
        self.eval()
        with torch.no_grad():
            injected = self.mode.inject(self.image_layers, probe)
        self.train()
        _check(injected, probe, self.mode)
        blocks, top_width = nn.ModuleDict(), 0
        if injected.item is not None:
            width = injected.item.shape[1]
            blocks["attention_item"] = PairBlock(width, attention, seed, "attention.image.item")
            top_width += 2 * width
        if injected.slot is not None:
            width = injected.slot.shape[1]
            blocks["attention_slot"] = linear(width, attention, seed, "attention.image.slot")
            top_width += width
        if injected.target is not None:
            top_width += injected.target.shape[1]
        if top_width:
            blocks["top"] = linear(top_width, top, seed, "top.image")
        return blocks


def _key(field: str) -> str:
    """A module's key for a field: torch refuses names such as `type`, and dots."""
    return "of_" + field.replace(".", "·")


def _softmax_by_row(logit: Tensor, row: Tensor, rows: int) -> Tensor:
    """Softmax among the history items of each impression: (M,) -> (M,)."""
    highest = logit.new_zeros(rows).scatter_reduce(
        0, row, logit.detach(), "amax", include_self=False
    )
    weight = torch.exp(logit - highest[row])
    return weight / weight.new_zeros(rows).index_add(0, row, weight)[row]


def _check(injected: Injected, batch: Batch, mode: Injection) -> None:
    """Meet the mode's output at the door: the right number of rows, nothing but finite numbers.

    Raises:
        ContractError: naming the mode, the part, what came and what should have come.
    """
    rows, slots = len(batch.target), len(batch.history)
    expected = {"item": (len(batch.item_id), 2), "slot": (slots, 2), "target": (rows, 2)}
    parts = {f.name: getattr(injected, f.name) for f in fields(injected) if f.name in expected}
    if injected.attention is not None:
        parts |= dict(zip(("attention scale", "attention shift"), injected.attention, strict=True))
        expected |= {"attention scale": (slots, 1), "attention shift": (slots, 1)}
    for name, value in parts.items():
        if value is None:
            continue
        length, dimensions = expected[name]
        if value.ndim != dimensions or len(value) != length:
            shape = f"({length}, width)" if dimensions == 2 else f"({length},)"
            raise ContractError(
                f"{type(mode).__name__}.inject gave {name} of shape {tuple(value.shape)}; "
                f"this batch needs {shape}."
            )
        if not torch.isfinite(value).all():
            raise ContractError(f"{type(mode).__name__}.inject gave {name} that is not finite.")
