"""The contract of a derivation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctrbench import plugins
from ctrbench.embeddings._rows import Rows
from ctrbench.schema import Frozen

PACKAGE = "ctrbench.embeddings.derivations"


@dataclass(frozen=True)
class Fitted:
    """A derivation that has seen its fitting items."""

    width: int  # of its output
    apply: Callable[[np.ndarray], np.ndarray]  # (n, D) float64 -> (n, width), row by row
    facts: dict[str, float]  # worth knowing; stored with the version


class Derivation(Frozen, ABC):
    """A way to make one embedding version out of another; its fields are its settings."""

    @abstractmethod
    def fit(self, rows: Rows) -> Fitted:
        """Learn from the fitting items' vectors, at least one.

        Raises:
            ConfigError: the settings do not suit these vectors.
            DataError: nothing can be learned from them.
        """


def configured(method: str, settings: dict[str, Any]) -> Derivation:
    """The derivation of that name with these settings.

    Raises:
        UnknownNameError: no derivation has this name.
        ConfigError: a setting is unknown or out of range.
    """
    return plugins.configured(PACKAGE, method, Derivation, "derivation", settings)
