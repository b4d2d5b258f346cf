"""The injection contract: what a mode receives, and where its output enters the CTR model.

A mode is one file with one class. The fields of the class are the settings of the mode. ctrbench
calls its methods in this order:

1. `problems` and `learned` (no data) report invalid settings and the number of parameters before
   any training.
2. `prepare` (numpy; once per data set, version and settings; cached) turns the vectors of one field
   into arrays per item and per history slot: codes, reduced vectors, similarities.
3. `layers` and `starting_ids` (torch, once per cell) create the learned parts. The parts draw from
   the image stream of the cell. A bare parameter must be wrapped in a module.
4. `inject` (torch, for every batch, and once before training without gradient to find the widths)
   turns rows of the prepared arrays into `Injected`. Integers arrive as int64, all other numbers
   as float32.
5. `report` (torch, after training) returns numbers for the record.
6. `encoder`, `encode` and `codes_of` (numpy) serve an exported model: they turn the vectors of new
   items into the rows that `prepare` made of the known ones.

Item id 0 is the unknown item: every item array has a row for it, and no real item uses it. A batch
may have no history items (M = 0). No code outside the file of a mode compares its name. A mode
imports torch inside `layers` and `inject`, because benchmark files are checked without torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from pydantic import ConfigDict

from ctrbench.batches.slots import HistorySlots
from ctrbench.embeddings.directions import bring_into_range
from ctrbench.schema import Frozen
from ctrbench.settings import ModelSettings, RateFactor

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrbench.batches.packing import Batch


@dataclass(frozen=True)
class Images:
    """The vectors that a mode receives: one field of a version, or of a control made from it.

    A field of codes has (V, L) int codes instead of vectors. Those of level l are below
    `code_counts[l]`, also in a control.
    """

    vectors: np.ndarray  # (V, D), as given; zero for items without a vector
    has_vector: np.ndarray  # (V,) bool
    fitting: np.ndarray  # (V,) bool: items with a vector on which codebooks and means may be fitted
    code_counts: tuple[int, ...] = ()  # distinct codes of each level; empty: a version of vectors

    def mean(self) -> np.ndarray:
        """Return the mean of the vectors of the fitting items, (D,) float32."""
        return np.asarray(self.vectors[self.fitting], np.float32).mean(axis=0)

    def unit(self, center: bool = False) -> np.ndarray:
        """Return the vectors normalised to length one, (V, D) float32.

        Missing vectors and zero vectors become zero.

        Args:
            center: Whether to subtract the mean over the fitting items first.
        """
        vectors = np.array(self.vectors, dtype=np.float32)
        if center:
            bring_into_range(vectors.reshape(1, -1))  # one scale for all vectors
            vectors -= vectors[self.fitting].mean(axis=0)
        bring_into_range(vectors)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.where(norms > 0, norms, 1)
        vectors[~self.has_vector] = 0
        return vectors


def unit_vectors(vectors: np.ndarray, mean: np.ndarray | None = None) -> np.ndarray:
    """Return vectors normalised to length one as by `Images.unit`, (n, D) float32.

    Args:
        vectors: (n, D) float, as given; zero vectors stay zero.
        mean: (D,) float32, subtracted first; None: nothing.
    """
    unit = np.array(vectors, dtype=np.float32)
    if mean is not None:
        unit -= mean
    bring_into_range(unit)
    norms = np.linalg.norm(unit, axis=1, keepdims=True)
    return unit / np.where(norms > 0, norms, 1)


@dataclass(frozen=True)
class Prepared:
    """The arrays that a mode prepares once; training reads them from memory maps."""

    item: dict[str, np.ndarray] = field(default_factory=dict)  # (V, ...) by name
    slot: dict[str, np.ndarray] = field(default_factory=dict)  # (slots, ...) in HistorySlots order
    whole: dict[str, np.ndarray] = field(default_factory=dict)  # for `layers`, `starting_ids`
    facts: dict[str, float] = field(default_factory=dict)  # numbers for the record


@dataclass(frozen=True)
class Injected:
    """The parts that enter the model; None adds nothing at that place."""

    item: Tensor | None = None  # (U, F) per distinct item: beside the ID embedding
    slot: Tensor | None = None  # (M, G) per history item: attention unit and pooling
    target: Tensor | None = None  # (B, H) per impression: into the last MLP
    attention: tuple[Tensor, Tensor] | None = None  # (M,), (M,): logit -> scale * logit + shift

    def neutral(self) -> Injected:
        """Return parts of the same shapes without effect: logits equal those of the baseline."""

        def zero(part: Tensor | None) -> Tensor | None:
            return None if part is None else part.new_zeros(part.shape)

        attention = None
        if self.attention is not None:
            scale, shift = self.attention
            attention = scale.new_ones(scale.shape), shift.new_zeros(shift.shape)
        return Injected(zero(self.item), zero(self.slot), zero(self.target), attention)


class Injection(Frozen, ABC):
    """An injection mode: one way in which image vectors enter the CTR model."""

    seeded: ClassVar[bool] = False  # True: `prepare` depends on the seed
    starts_ids: ClassVar[bool] = False  # True: `starting_ids` returns an array
    revision: ClassVar[int] = 1  # the author raises it when results change under equal settings

    model_config = ConfigDict(allow_inf_nan=False)

    learning_rate_factor: RateFactor = 1.0  # of the image block, relative to the rest
    field: str | None = None  # the vector field of the version to read; null: the first

    @property
    def pieces(self) -> Mapping[str, Injection]:
        """The modes that read one vector field each: this mode itself, or the named parts."""
        return {"": self}

    @property
    def reads(self) -> tuple[str | None, ...]:
        """The distinct vector fields that the mode reads; None is the first of the version."""
        return tuple(dict.fromkeys(piece.field for piece in self.pieces.values()))

    def problems(self, items: int, width: int, model: ModelSettings) -> list[str]:
        """Return why the settings cannot work on a version; called before any cell is trained.

        Args:
            items: The number of distinct vectors of the fitting period.
            width: The width of the vectors, D.
            model: The model settings of the benchmark file.
        """
        del items, width, model
        return []

    def problems_on_codes(self, code_counts: tuple[int, ...]) -> list[str]:
        """Return why the mode cannot use a version of codes; by default, it requires vectors.

        Args:
            code_counts: The number of distinct codes of each level.
        """
        del code_counts
        return ["requires vectors, but the version holds codes"]

    def on_codes(self, fields: Container[str | None]) -> Self:
        """Return the mode as it runs on codes, without settings that do not apply.

        Args:
            fields: Those of `reads` that hold codes.
        """
        del fields
        return self

    def without_field(self, first: str) -> Self:
        """Return the mode as cells store it: the first vector field of a version has no name.

        Args:
            first: The name of the first vector field of the version.
        """
        return self.model_copy(update={"field": None}) if self.field == first else self

    @abstractmethod
    def prepare(self, images: Images, slots: HistorySlots, seed: int) -> Prepared:
        """Return the arrays that training reads.

        Args:
            images: The vectors, and the items on which the mode may fit.
            slots: The history slots; `slots.pairs()` iterates over them in bounded memory, and
                `slots.stored` stores one value per slot.
            seed: The seed for `seeding.stream(seed, ...)`; only used if `seeded` is True.

        Raises:
            DataError: The vectors are unsuitable, for instance too few.
        """

    def prepare_fields(
        self, images: Mapping[str | None, Images], slots: HistorySlots, seed: int
    ) -> Prepared:
        """Return the arrays that training reads, from the vectors of every field in `reads`.

        Args:
            images: The vectors by field.
            slots: The history slots.
            seed: As that of `prepare`.

        Raises:
            DataError: The vectors are unsuitable, for instance too few.
        """
        return self.prepare(images[self.field], slots, seed)

    def learned(self, width: int) -> int:
        """Return the number of parameters of `layers` on vectors of width D, to estimate memory."""
        del width
        return 0

    def learned_on_codes(self, code_counts: tuple[int, ...]) -> int:
        """Return the number of parameters of `layers` on a version of codes.

        Args:
            code_counts: The number of distinct codes of each level.
        """
        del code_counts
        return 0

    def layers(self, prepared: Prepared) -> dict[str, nn.Module]:
        """Return the learned parts by name; they draw from the image stream of the cell."""
        del prepared
        return {}

    @abstractmethod
    def inject(self, layers: nn.ModuleDict, batch: Batch) -> Injected:
        """Return what enters the model for one batch.

        Args:
            layers: The learned parts that `layers` created.
            batch: `image_item` holds rows (U, ...) of `Prepared.item`, `image_slot` holds rows
                (M, ...) of `Prepared.slot`; `target` and `history` index the U rows.
        """

    def starting_ids(self, prepared: Prepared, model: ModelSettings) -> np.ndarray | None:
        """Return starting values of the ID embedding, (V, embedding_size) float32, or None.

        Args:
            prepared: The arrays that `prepare` returned.
            model: The model settings.

        Returns:
            The starting values; NaN, or None for the whole table, keeps the random ones.
        """
        del prepared, model
        return None

    def report(self, layers: nn.ModuleDict) -> dict[str, float]:
        """Return numbers for the record after training, for instance the value of a gate."""
        del layers
        return {}

    def encoder(self, images: Images, seed: int) -> dict[str, np.ndarray] | None:
        """Return the fitted arrays with which `encode` encodes new items, such as centres.

        Args:
            images: The vectors that `prepare` received.
            seed: The seed that `prepare` received.

        Returns:
            The arrays by name; None if the mode cannot encode new items.
        """
        del images, seed
        return None

    def encode(
        self, vectors: np.ndarray, encoder: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Return the rows of `Prepared.item` of new items.

        Args:
            vectors: (n, D) float, as given; each has a direction.
            encoder: The arrays of `encoder`.
        """
        del vectors, encoder
        return {}

    def codes_of(self, prepared: Prepared) -> np.ndarray | None:
        """Return the codes of every item, (V, L) int64 from 0, -1 without; None: has no codes.

        Args:
            prepared: The arrays that `prepare` returned.
        """
        del prepared
        return None
