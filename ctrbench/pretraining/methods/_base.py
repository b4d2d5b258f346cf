"""The contract of a pre-training method.

Shapes: U distinct images of a batch, D vector width, L lines, P shown and H history images per
line, S sequence targets. An index of -1 represents a missing image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict

from ctrbench import plugins
from ctrbench.schema import Frozen

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ctrbench.distributed import Processes

PACKAGE = "ctrbench.pretraining.methods"


@dataclass(frozen=True)
class LineBatch:
    """Lines of the log: shown items, clicks on them, and the clicks before the line."""

    item_id: np.ndarray  # (U,) distinct items to encode
    shown: Tensor  # (L, P) int64, index into the distinct items
    click: Tensor  # (L, P) bool
    history: Tensor  # (L, H) int64, oldest first
    target: Tensor  # (S,) int64: clicks of the period, each once
    earlier: Tensor  # (S, H) int64: the clicks strictly before the target

    def to(self, device: torch.device) -> LineBatch:
        """Return the batch with its tensors on another device."""
        moved = {
            one.name: getattr(self, one.name).to(device)
            for one in fields(self)
            if one.name != "item_id"
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class ItemBatch:
    """Distinct items."""

    item_id: np.ndarray  # (U,)

    def to(self, device: torch.device) -> ItemBatch:
        """Return the batch, which has no tensors."""
        return self


class PretrainMethod(Frozen, ABC):
    """A method to train an image encoder; its fields are its settings."""

    model_config = ConfigDict(allow_inf_nan=False)

    samples: ClassVar[Literal["lines", "items"]] = "items"
    augmented: ClassVar[bool] = False  # True: two random views per image; requires pictures
    titled: ClassVar[bool] = False  # True: requires titles

    @abstractmethod
    def layers(self, width: int, titles: list[str] | None) -> dict[str, nn.Module]:
        """Return the layers that are trained together with the encoder and then discarded.

        Args:
            width: The width of the vectors, D.
            titles: The title of each item by item_id, "" if missing; None unless `titled`.
        """

    @abstractmethod
    def loss(
        self, layers: nn.ModuleDict, vectors: Tensor, batch: Any, across: Processes
    ) -> dict[str, Tensor]:
        """Return the terms of the loss: the share of this process in each global mean.

        Args:
            layers: The layers that `layers` created.
            vectors: (views, U, D) float32, the encoded images; one view unless `augmented`.
            batch: A `LineBatch` or `ItemBatch`, depending on `samples`, on the device of the
                vectors; possibly empty.
            across: The processes that share the global batch.
        """


def configured(method: str, settings: dict[str, Any]) -> PretrainMethod:
    """Return a method with its settings.

    Args:
        method: The name of the method.
        settings: Value by field.

    Raises:
        UnknownNameError: No method has this name.
        ConfigError: A setting is unknown or out of range.
    """
    return plugins.configured(PACKAGE, method, PretrainMethod, "pre-training method", settings)
