"""Combinations of modes, written `sim_tier+cluster_id`."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import SerializationInfo, SerializeAsAny, model_serializer

from ctrbench.batches.slots import HistorySlots
from ctrbench.injection._base import Images, Injected, Injection, Prepared
from ctrbench.settings import ModelSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrbench.batches.packing import Batch

JOINT = "+"
FACTOR = "learning_rate_factor"  # the only setting of the combination itself
REVISIONS = 100  # larger than any revision, so that each combination has its own number


class Combination(Injection):
    """Concatenates what its parts inject, and composes their attention changes.

    All parts share the learning-rate factor of the combination. Each part reads the vector field
    that its own settings name.
    """

    parts: dict[str, SerializeAsAny[Injection]]  # by name, in the order of the file

    @property
    def pieces(self) -> Mapping[str, Injection]:
        """The parts by name."""
        return self.parts

    @property
    def seeded(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether any part depends on the seed."""
        return any(part.seeded for part in self.parts.values())

    @property
    def starts_ids(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether any part initialises the ID embedding."""
        return any(part.starts_ids for part in self.parts.values())

    @property
    def revision(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The revisions of all parts as one number."""
        revisions = (part.revision for part in self.parts.values())
        return reduce(lambda all_before, own: REVISIONS * all_before + own, revisions)

    @model_serializer(mode="plain")
    def _flat(self, info: SerializationInfo) -> dict[str, Any]:
        """Return `part.setting: value` pairs, as in a benchmark file."""
        dumped = {
            f"{name}.{key}": value
            for name, part in self.parts.items()
            for key, value in part.model_dump(
                mode="json", exclude_defaults=info.exclude_defaults, exclude={FACTOR}
            ).items()
        }
        if self.learning_rate_factor != 1 or not info.exclude_defaults:
            dumped[FACTOR] = self.learning_rate_factor
        return dumped

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """Return the problems of all parts."""
        return [
            f"{name}: {problem}"
            for name, part in self.parts.items()
            for problem in part.problems(items, width, model)
        ]

    def on_codes(self, fields: Container[str | None]) -> Self:
        """Return the combination with every part as it runs on codes."""
        parts = {name: part.on_codes(fields) for name, part in self.parts.items()}
        return self.model_copy(update={"parts": parts})

    def without_field(self, first: str) -> Self:
        """Return the combination with every part as cells store it."""
        parts = {name: part.without_field(first) for name, part in self.parts.items()}
        return self.model_copy(update={"parts": parts})

    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """Return the arrays of all parts on the same vectors, prefixed by the name of the part."""
        return self.prepare_fields(dict.fromkeys(self.reads, images), slots, seed)

    def prepare_fields(
        self, images: Mapping[str | None, Images], slots: HistorySlots, seed: int
    ) -> Prepared:
        """Return the arrays of all parts, prefixed by the name of the part."""
        made = {
            name: part.prepare(images[part.field], slots, seed) for name, part in self.parts.items()
        }
        kinds = {
            kind: _under_names({name: getattr(one, kind) for name, one in made.items()})
            for kind in ("item", "slot", "whole", "facts")
        }
        return Prepared(**kinds)

    def learned(self, width: int) -> int:
        """Return the number of parameters of all parts."""
        return sum(part.learned(width) for part in self.parts.values())

    def layers(self, prepared: Prepared) -> dict[str, nn.Module]:
        """Return the layers of all parts by the name of the part."""
        from torch import nn

        return {
            name: nn.ModuleDict(part.layers(_of_part(prepared, name)))
            for name, part in self.parts.items()
        }

    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """Return the combined output of the parts."""
        import torch

        found = []
        for name, part in self.parts.items():
            item, slot = (_of(arrays, name) for arrays in (batch.image_item, batch.image_slot))
            own = replace(batch, image_item=item, image_slot=slot)
            found.append(part.inject(layers[name], own))  # pyright: ignore[reportArgumentType]

        def beside(kind: str) -> Tensor | None:
            values = [getattr(one, kind) for one in found if getattr(one, kind) is not None]
            return torch.cat(values, dim=1) if values else None

        attention = None
        for scale, shift in (one.attention for one in found if one.attention is not None):
            if attention is None:
                attention = scale, shift
            else:
                attention = scale * attention[0], scale * attention[1] + shift
        return Injected(beside("item"), beside("slot"), beside("target"), attention)

    def starting_ids(self, prepared: Prepared, model: ModelSettings) -> np.ndarray | None:
        """Return the starting values of the part that has them."""
        for name, part in self.parts.items():
            if part.starts_ids:
                return part.starting_ids(_of_part(prepared, name), model)
        return None

    def report(self, layers: nn.ModuleDict) -> dict[str, float]:
        """Return the numbers of all parts, prefixed by the name of the part."""
        return _under_names(
            {name: part.report(layers[name]) for name, part in self.parts.items()}  # pyright: ignore
        )


def _under_names(of_parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {f"{name}.{key}": value for name, own in of_parts.items() for key, value in own.items()}


def _of(arrays: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the arrays of one part, without the prefix."""
    start = f"{name}."
    return {key.removeprefix(start): v for key, v in arrays.items() if key.startswith(start)}


def _of_part(prepared: Prepared, name: str) -> Prepared:
    item, slot, whole = (_of(a, name) for a in (prepared.item, prepared.slot, prepared.whole))
    return Prepared(item, slot, whole)
