"""The contract of a derivation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctrbench import plugins
from ctrbench.arrays import table_blocks
from ctrbench.schema import Frozen

PACKAGE = "ctrbench.embeddings.derivations"


@dataclass(frozen=True)
class Rows:
    """The selected rows of a table as float64 blocks; can be iterated more than once."""

    vectors: np.ndarray  # (V, D)
    chosen: np.ndarray  # (V,) bool

    def __iter__(self) -> Iterator[np.ndarray]:
        for rows in table_blocks(self.vectors.shape):
            if self.chosen[rows].any():
                yield self.vectors[rows][self.chosen[rows]].astype(np.float64)

    def __len__(self) -> int:
        return int(self.chosen.sum())

    @property
    def width(self) -> int:
        """The number of columns, D."""
        return self.vectors.shape[1]

    def mean(self) -> np.ndarray:
        """Return the mean of the selected rows, (D,) float64."""
        return sum((block.sum(0) for block in self), np.zeros(self.width)) / len(self)


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
