"""The contract of an encoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import PositiveInt

from ctrbench import plugins
from ctrbench.schema import Frozen

if TYPE_CHECKING:
    from torch import nn

PACKAGE = "ctrbench.pretraining.encoders"


class Encoder(Frozen, ABC):
    """A network for pictures; its fields are its settings.

    It must treat every picture by itself: no statistics of the batch, or a large batch could not be
    encoded in parts.
    """

    size: PositiveInt = 64  # pixels, height and width
    weights: Path | None = None  # a file to start from, .safetensors or torch's; null: as drawn

    @abstractmethod
    def build(self, width: int) -> nn.Module:
        """(n, 3, size, size) normalised pictures -> (n, width), freshly drawn or from `weights`.

        Raises:
            ConfigError: the weights do not fit, or a library is missing.
        """


def configured(name: str, settings: dict[str, Any]) -> Encoder:
    """The encoder of that name with these settings.

    Raises:
        UnknownNameError: no encoder has this name.
        ConfigError: a setting is unknown or out of range.
    """
    return plugins.configured(PACKAGE, name, Encoder, "encoder", settings)
