"""The base class of all CTR models; a backbone defines how a model reads a history.

A backbone is one file with one subclass of `Backbone`, which implements three methods:

1. `build` creates the layers that read histories, and returns the width of their output.
2. `build_image` creates the bias-free blocks through which image information enters these layers.
3. `read` turns the histories of a batch into one row per impression.

The base class does the rest: tables of ids and fields, the target item, the last MLP, its image
block, and the checks of the injected parts. Create layers with `_blocks.linear`, each under its own
name, and create image blocks without bias. Then a baseline and its injected sibling draw the same
weights, and their logits are equal if all image blocks are zero.

Shapes: B impressions, U distinct items, M history items, E item width, F width of `Injected.item`,
G width of `Injected.slot`, R output width of `read`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor, nn

from ctrbench.batches.packing import Batch, InputSizes
from ctrbench.errors import ContractError
from ctrbench.injection import Injected, Injection, Prepared
from ctrbench.loops.functions import product, take
from ctrbench.models._blocks import HiddenLayers, Numbers, embed, embedding, linear, looked_up
from ctrbench.seeding import scoped_torch_seed
from ctrbench.settings import ModelSettings


@dataclass(frozen=True)
class Reading:
    """The output of a backbone for the histories of a batch."""

    ids: Tensor  # (B, R)
    images: list[Tensor] = field(default_factory=list)  # (B, ...) each; inputs of the last MLP


class Backbone(nn.Module, ABC):
    """A CTR model with ID embeddings that supports every injection mode."""

    def __init__(
        self,
        sizes: InputSizes,
        settings: ModelSettings,
        mode: Injection,
        prepared: Prepared,
        probe: Batch,
        seed: int,
    ) -> None:
        """Create and draw all parameters.

        Args:
            sizes: The sizes of the tables and inputs.
            settings: The model settings.
            mode: The injection mode.
            prepared: The arrays that the mode prepared.
            probe: Any batch; the mode runs on it once, to find the widths that it injects.
            seed: The seed of the cell.

        Raises:
            ContractError: The output of the mode violates the injection contract.
        """
        super().__init__()
        self.mode, self.settings, self.seed = mode, settings, seed

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
        read_width = self.build(item_width)
        self.top_id = linear(row_width + item_width + read_width, settings.top[0], seed, "top.id")
        self.top = HiddenLayers(settings.top, settings, seed, "top")

        with scoped_torch_seed(seed, "image"):
            self.image_layers = nn.ModuleDict(mode.layers(prepared))
        self.image = self._image_blocks(probe)
        self._start_ids(prepared)

    @abstractmethod
    def build(self, item_width: int) -> int:
        """Create the layers that read histories of items of width E; return R."""

    @abstractmethod
    def build_image(
        self, item_width: int | None, slot_width: int | None
    ) -> tuple[dict[str, nn.Module], int]:
        """Create the bias-free blocks through which images enter the layers of `build`.

        Args:
            item_width: F; None if the mode injects nothing per item.
            slot_width: G; None if the mode injects nothing per history slot.

        Returns:
            The blocks by name, later available as `self.image`, and the total width of
            `Reading.images`.
        """

    @abstractmethod
    def read(self, items: Tensor, injected: Injected, batch: Batch) -> Reading:
        """Return the encoded histories of a batch.

        Args:
            items: (U, E) float32, the encoded distinct items.
            injected: The output of the mode.
            batch: The batch.
        """

    @classmethod
    def read_numbers(cls, settings: ModelSettings, rows: int, slots: int, longest: int) -> int:
        """Return a lower bound of the 32-bit numbers that `read` holds in a training step.

        Args:
            settings: The model settings.
            rows: B.
            slots: M.
            longest: The largest number of history items of an impression.
        """
        return 0

    def forward(self, batch: Batch) -> Tensor:
        """Return the click logits, (B,) float32."""
        rows = batch.target.shape[0]
        items = self._items(batch)  # (U, E)
        injected = self.mode.inject(self.image_layers, batch)
        reading = self.read(items, injected, batch)
        inputs = [
            *(
                embed(self.row_tables[_key(name)], codes, rows)
                for name, codes in batch.row_codes.items()
            ),
            self.row_numbers(batch.row_numbers),
            take(items, batch.target),
            reading.ids,
        ]
        hidden = product(torch.cat(inputs, dim=1), self.top_id.weight, self.top.bias)  # (B, H)
        image_inputs = list(reading.images)
        if injected.item is not None:
            image_inputs.insert(0, take(injected.item, batch.target))
        if injected.target is not None:
            image_inputs.append(injected.target)
        if image_inputs:
            weight = self.image["top"].get_parameter("weight")
            hidden = hidden + product(torch.cat(image_inputs, dim=1), weight)
        return self.top(hidden)

    def tables(self) -> list[nn.Embedding]:
        """Return the embedding tables of ids and fields."""
        found = [self.id_embedding, *self.item_tables.values(), *self.row_tables.values()]
        return [table for table in found if isinstance(table, nn.Embedding)]

    def image_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that the baseline lacks: layers and input blocks of the mode."""
        return [*self.image_layers.parameters(), *self.image.parameters()]

    def _items(self, batch: Batch) -> Tensor:
        """Return the ID embedding and the field embeddings of each distinct item, (U, E)."""
        count = batch.item_id.shape[0]
        parts = [looked_up(self.id_embedding, batch.item_id)]
        for name, codes in batch.item_codes.items():
            parts.append(embed(self.item_tables[_key(name)], codes, count))
        return torch.cat([*parts, self.item_numbers(batch.item_numbers)], dim=1)

    def _image_blocks(self, probe: Batch) -> nn.ModuleDict:
        """Return input blocks for the widths that the mode injects."""
        self.eval()
        with torch.no_grad():
            injected = self.mode.inject(self.image_layers, probe)
        self.train()
        _check(injected, probe, self.mode)
        item, slot, target = (
            None if part is None else part.shape[1]
            for part in (injected.item, injected.slot, injected.target)
        )
        blocks, width = self.build_image(item, slot)
        width += (item or 0) + (target or 0)
        if width:
            blocks["top"] = linear(width, self.settings.top[0], self.seed, "top.image")
        return nn.ModuleDict(blocks)

    def _start_ids(self, prepared: Prepared) -> None:
        starting_ids = self.mode.starting_ids(prepared, self.settings)
        if starting_ids is None:
            return
        start, drawn = torch.from_numpy(starting_ids), self.id_embedding.weight
        with torch.no_grad():
            drawn.copy_(torch.where(start.isnan(), drawn, start))


def _key(field_name: str) -> str:
    """Return the module key of a field; torch rejects dots and names such as `type`."""
    return "of_" + field_name.replace(".", "·")


def _check(injected: Injected, batch: Batch, mode: Injection) -> None:
    """Validate the output of a mode: shapes, float32, finite values.

    Raises:
        ContractError: Names the mode, the part, the found and the expected value.
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
                f"{type(mode).__name__}.inject returned {name} of shape {tuple(value.shape)}; "
                f"this batch requires {shape}."
            )
        if value.dtype != torch.float32:
            raise ContractError(
                f"{type(mode).__name__}.inject returned {name} of {value.dtype}; return "
                "torch.float32."
            )
        if not value.is_meta and not torch.isfinite(value).all():
            raise ContractError(
                f"{type(mode).__name__}.inject returned NaN or infinite numbers in {name}."
            )
