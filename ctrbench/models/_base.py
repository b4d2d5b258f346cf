"""What every CTR model here has in common; a backbone says how it reads a history.

A backbone is one file with one subclass of `Backbone`, which fills three methods:

1. `build`: make the layers that read histories of items of some width; say how wide the result is.
2. `build_image`: make the bias-free blocks through which a mode's output enters them.
3. `read`: a batch's histories, with or without image information, to one row an impression.

All else is done here: tables of ids and fields, the target's side, the last MLP, the blocks through
which images enter it, the checks of what a mode injects. Draw layers by `_blocks.linear`, each with
a name of its own, and let image blocks have no bias: then a baseline and its injected sibling share
every draw, and with the image blocks at zero their logits are equal.

Shapes: B impressions, U distinct items, M history items, E item width, F width of `Injected.item`,
G of `Injected.slot`, R what `read` makes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor, nn

from ctrbench.errors import ContractError
from ctrbench.impressions.packing import Batch, InputSizes
from ctrbench.injection import Injected, Injection, Prepared
from ctrbench.models._blocks import HiddenLayers, Numbers, embed, embedding, linear, take
from ctrbench.seeding import scoped_torch_seed
from ctrbench.settings import ModelSettings


@dataclass(frozen=True)
class Reading:
    """What a backbone makes of the histories."""

    ids: Tensor  # (B, R)
    images: list[Tensor] = field(default_factory=list)  # (B, ...) each; into the last MLP


class Backbone(nn.Module, ABC):
    """A CTR model with ID embeddings, open to any injection mode."""

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

        Raises:
            ContractError: the mode injects what the contract does not allow.
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
        """Make the layers that read histories of items of width E; returns R."""

    @abstractmethod
    def build_image(
        self, item_width: int | None, slot_width: int | None
    ) -> tuple[dict[str, nn.Module], int]:
        """Make the bias-free blocks through which images enter what `build` made.

        Args:
            item_width: F; None: the mode injects nothing there.
            slot_width: G; None likewise.

        Returns:
            The blocks by name, found again in `self.image`, and the summed width of
            `Reading.images`.
        """

    @abstractmethod
    def read(self, items: Tensor, injected: Injected, batch: Batch) -> Reading:
        """Read the histories of a batch; (U, E) items."""

    def forward(self, batch: Batch) -> Tensor:
        """(B,) logits of a click."""
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
        hidden = self.top_id(torch.cat(inputs, dim=1))  # (B, H)
        image_inputs = list(reading.images)
        if injected.item is not None:
            image_inputs.insert(0, take(injected.item, batch.target))
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

    def _image_blocks(self, probe: Batch) -> nn.ModuleDict:
        """Input blocks of the widths that the mode injects."""
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
    """A module's key for a field: torch refuses names such as `type`, and dots."""
    return "of_" + field_name.replace(".", "·")


def _check(injected: Injected, batch: Batch, mode: Injection) -> None:
    """Meet the mode's output at the door: the right number of rows, finite float32 alone.

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
        if value.dtype != torch.float32:
            raise ContractError(
                f"{type(mode).__name__}.inject gave {name} of {value.dtype}; give torch.float32."
            )
        if not torch.isfinite(value).all():
            raise ContractError(f"{type(mode).__name__}.inject gave {name} that is not finite.")
