"""The contract of a pre-training method.

Shapes: U distinct images of a batch, D vector width, L lines, P shown and H history images a line,
S sequence targets. An index of -1 is a place without an image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict

from ctrbench import plugins
from ctrbench.schema import Frozen

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrbench.distributed import Processes

PACKAGE = "ctrbench.pretraining.methods"


@dataclass(frozen=True)
class LineBatch:
    """Lines of users' logs: what was shown and clicked, and the clicks before the first of it."""

    item_id: np.ndarray  # (U,) distinct items, those whose images are encoded
    shown: Tensor  # (L, P) int64, index into the distinct items
    click: Tensor  # (L, P) bool
    history: Tensor  # (L, H) int64, oldest first
    target: Tensor  # (S,) int64: a click, each of the period once
    earlier: Tensor  # (S, H) int64: the clicks strictly before it


@dataclass(frozen=True)
class ItemBatch:
    """Items, each once."""

    item_id: np.ndarray  # (U,)


class PretrainMethod(Frozen, ABC):
    """A way to train an image encoder; its fields are its settings."""

    model_config = ConfigDict(allow_inf_nan=False)

    samples: ClassVar[Literal["lines", "items"]] = "items"
    augmented: ClassVar[bool] = False  # True: each image is seen in two random views; needs pixels
    titled: ClassVar[bool] = False  # True: needs the items' titles

    @abstractmethod
    def layers(self, width: int, titles: list[str] | None) -> dict[str, nn.Module]:
        """What is learned beside the encoder; none of it is kept.

        Args:
            width: D.
            titles: of every item by item_id, "" where there is none; only where `titled`.
        """

    @abstractmethod
    def loss(
        self, layers: nn.ModuleDict, vectors: Tensor, batch: Any, across: Processes
    ) -> dict[str, Tensor]:
        """The terms of the loss, to be added up; each this process's part of the global mean.

        Args:
            layers: as made by `layers`.
            vectors: (views, U, D) encoded images of the batch; one view unless `augmented`.
            batch: of the kind that `samples` says; empty where another process has all of it.
            across: the processes that share the global batch.
        """


def configured(method: str, settings: dict[str, Any]) -> PretrainMethod:
    """The method of that name with these settings.

    Raises:
        UnknownNameError: no method has this name.
        ConfigError: a setting is unknown or out of range.
    """
    return plugins.configured(PACKAGE, method, PretrainMethod, "pre-training method", settings)
