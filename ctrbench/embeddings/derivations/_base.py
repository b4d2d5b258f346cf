"""The contract of a derivation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctrbench import plugins
from ctrbench.arrays import SelectedRows
from ctrbench.schema import Frozen

PACKAGE = "ctrbench.embeddings.derivations"


@dataclass(frozen=True)
class Fitted:
    """A fitted derivation."""

    width: int  # of the output
    apply: Callable[[np.ndarray], np.ndarray]  # maps (n, D) float64 to (n, width), row by row
    facts: dict[str, float]  # stored with the version


class Derivation(Frozen, ABC):
    """A method that creates an embedding version from another; its fields are its settings."""

    @abstractmethod
    def fit(self, rows: SelectedRows) -> Fitted:
        """Fit on the vectors of the fitting items, at least one.

        Raises:
            ConfigError: The settings are invalid for these vectors.
            DataError: The vectors contain nothing to fit.
        """


def configured(method: str, settings: dict[str, Any]) -> Derivation:
    """Return a derivation with its settings.

    Args:
        method: The name of the derivation.
        settings: Value by field.

    Raises:
        UnknownNameError: No derivation has this name.
        ConfigError: A setting is unknown or out of range.
    """
    return plugins.configured(PACKAGE, method, Derivation, "derivation", settings)
