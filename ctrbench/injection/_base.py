"""The injection contract: what a mode is given, and where in the CTR model its output enters.

A mode is one file with one class. Its fields are its settings; its methods are asked in this order:

1. `problems` and `learned` (no data): settings that cannot work, and the memory they take, said
   before anything is trained.
2. `prepare` (numpy, once per data set, version and settings; cached): image vectors in, arrays per
   item and per history slot out. Codebooks, reduced vectors and similarities are made here.
3. `layers` and `starting_ids` (torch, once per cell): what is learned, drawn from the cell's own
   stream for images. A bare parameter is wrapped in a module.
4. `inject` (torch, every batch; once before training, without gradient, to learn the widths): rows
   of the prepared arrays in, `Injected` out. Integers arrive as int64, anything else as float32.
5. `report` (torch, after training): numbers to keep.

Item id 0 is the unknown item; its row of every item array exists and belongs to nobody. A batch may
have no history item at all (M = 0). Nothing outside the mode's own file knows its name. torch is
imported inside `layers` and `inject`, since a benchmark file is checked without it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import ConfigDict

from ctrbench.embeddings.directions import bring_into_range
from ctrbench.impressions.slots import HistorySlots
from ctrbench.schema import Frozen
from ctrbench.settings import ModelSettings, RateFactor

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrbench.impressions.packing import Batch


@dataclass(frozen=True)
class Images:
    """The image vectors a mode works on: one embedding version, or a control made from it."""

    vectors: np.ndarray  # (V, D), as given; zeros where an item has none
    has_vector: np.ndarray  # (V,) bool
    fitting: np.ndarray  # (V,) bool: items with a vector that codebooks and means may be fitted on

    def unit(self, center: bool = False) -> np.ndarray:
        """(V, D) float32 of length one; zero where an item has no vector, or a zero one.

        Args:
            center: subtract the mean over the fitting items first.
        """
        vectors = np.array(self.vectors, dtype=np.float32)
        if center:
            bring_into_range(vectors.reshape(1, -1))  # all by one scale
            vectors -= vectors[self.fitting].mean(axis=0)
        bring_into_range(vectors)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.where(norms > 0, norms, 1)
        vectors[~self.has_vector] = 0
        return vectors


@dataclass(frozen=True)
class Prepared:
    """What a mode computes once; read-only memory maps in training."""

    item: dict[str, np.ndarray] = field(default_factory=dict)  # (V, ...) by name
    slot: dict[str, np.ndarray] = field(default_factory=dict)  # (slots, ...) in HistorySlots order
    whole: dict[str, np.ndarray] = field(default_factory=dict)  # for `layers`, `starting_ids` alone
    facts: dict[str, float] = field(default_factory=dict)  # numbers worth a line in the record


@dataclass(frozen=True)
class Injected:
    """What enters the model, and where; None adds nothing there."""

    item: Tensor | None = None  # (U, F) per distinct item: joins the query and the keys
    slot: Tensor | None = None  # (M, G) per history item: into the attention unit, and pooled by it
    target: Tensor | None = None  # (B, H) per impression: into the last MLP
    attention: tuple[Tensor, Tensor] | None = None  # (M,), (M,): logit -> scale * logit + shift

    def neutral(self) -> Injected:
        """The same parts, saying nothing: with these every model gives the baseline's logits."""

        def zero(part: Tensor | None) -> Tensor | None:
            return None if part is None else part.new_zeros(part.shape)

        attention = None
        if self.attention is not None:
            scale, shift = self.attention
            attention = scale.new_ones(scale.shape), shift.new_zeros(shift.shape)
        return Injected(zero(self.item), zero(self.slot), zero(self.target), attention)


class Injection(Frozen, ABC):
    """One way in which image vectors enter the CTR model."""

    seeded: ClassVar[bool] = False  # True: `prepare` draws chance, so every seed has its own
    starts_ids: ClassVar[bool] = False  # True: `starting_ids` gives one; one part of several may
    revision: ClassVar[int] = 1  # raised by its author when equal settings give other results

    model_config = ConfigDict(allow_inf_nan=False)

    learning_rate_factor: RateFactor = 1.0  # of the image block, relative to the model's

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """Why these settings cannot work on a version; asked before any cell is trained.

        Args:
            items: how many distinct vectors something may be fitted on.
            width: D of the vectors.
            model: of the benchmark file; a mode may need softmax weights, say.
        """
        del items, width, model
        return []

    @abstractmethod
    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """Compute once what training only looks up.

        Args:
            images: the vectors, and on which items something may be fitted.
            slots: the history slots; `slots.pairs()` walks them in bounded memory, and
                `slots.stored` takes a value for each.
            seed: for `seeding.stream(seed, ...)`; only where `seeded` is True.

        Raises:
            DataError: the vectors cannot serve, for instance too few of them.
        """

    def learned(self, width: int) -> int:
        """How many numbers `layers` learns on vectors of width D; `plan` asks it for memory."""
        del width
        return 0

    def layers(self, prepared: Prepared) -> dict[str, nn.Module]:
        """Learned parts by name; made under the cell's own random stream for images."""
        del prepared
        return {}

    @abstractmethod
    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """What enters the model for one batch.

        Args:
            layers: as made by `layers`, now trained.
            batch: its `image_item` holds rows (U, ...) of `Prepared.item`, its `image_slot`
                rows (M, ...) of `Prepared.slot`; `target` and `history` index the U rows.
        """

    def starting_ids(self, prepared: Prepared, model: ModelSettings) -> np.ndarray | None:
        """(V, embedding_size) float32 start of the ID embedding; drawn where NaN, or if None."""
        del prepared, model
        return None

    def report(self, layers: nn.ModuleDict) -> dict[str, float]:
        """Numbers to keep after training: a gate's value, say."""
        del layers
        return {}
