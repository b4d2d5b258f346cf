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

    An encoder processes each picture independently, without batch statistics, so that a large batch
    can be encoded in parts.
    """

    size: PositiveInt = 64  # pixels, height and width
    weights: Path | None = None  # initial weights, .safetensors or a torch file; null: random

    @abstractmethod
    def build(self, width: int) -> nn.Module:
        """Return a network that maps normalised pictures, (n, 3, size, size), to (n, width).

        Args:
            width: The width of the vectors, D.

        Raises:
            ConfigError: The weights do not fit, or a library is missing.
        """


def configured(name: str, settings: dict[str, Any]) -> Encoder:
    """Return an encoder with its settings.

    Args:
        name: The name of the encoder.
        settings: Value by field.

    Raises:
        UnknownNameError: No encoder has this name.
        ConfigError: A setting is unknown or out of range.
    """
    return plugins.configured(PACKAGE, name, Encoder, "encoder", settings)
