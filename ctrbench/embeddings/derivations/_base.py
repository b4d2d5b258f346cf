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
    """A fitted derivation."""

    width: int  # of the output
    apply: Callable[[np.ndarray], np.ndarray]  # maps (n, D) float64 to (n, width), row by row
    facts: dict[str, float]  # stored with the version


class Derivation(Frozen, ABC):
    """A method that creates an embedding version from another; its fields are its settings."""

    @abstractmethod
    def fit(self, rows: Rows) -> Fitted:
        """Fit on the vectors of the fitting items, at least one.

        Raises:
            ConfigError: the settings are invalid for these vectors.
            DataError: the vectors contain nothing to fit.
        """


def configured(method: str, settings: dict[str, Any]) -> Derivation:
    """Return a derivation with its settings.

    Args:
        method: the name of the derivation.
        settings: value by field.

    Raises:
        UnknownNameError: no derivation has this name.
        ConfigError: a setting is unknown or out of range.
    """
    return plugins.configured(PACKAGE, method, Derivation, "derivation", settings)
