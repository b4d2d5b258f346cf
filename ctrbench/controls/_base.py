"""The contract of a control, and the function that applies one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from ctrbench import plugins
from ctrbench.errors import ConfigError
from ctrbench.schema import Control, EmbeddingTable

PACKAGE = "ctrbench.controls"


class NullVersion(ABC):
    """A control: replaces the vectors of a table by vectors without image information."""

    takes_groups: ClassVar[bool] = False  # whether it supports `within`
    is_reference: ClassVar[bool] = False  # a sibling: versions are compared with it as well

    @abstractmethod
    def vectors(self, table: EmbeddingTable, seed: int, groups: np.ndarray | None) -> np.ndarray:
        """Return the new vectors, (V, D) in the dtype of the table; rows without a vector are zero.

        Args:
            table: The real version, often a memory map; it must not be modified.
            seed: The seed of the random streams.
            groups: (V,) int codes of the `within` field; None without `within`.
        """


def is_sibling(control: Control) -> bool:
    """Return whether versions are compared with this control of their own vectors.

    Raises:
        UnknownNameError: No control has this name.
    """
    return plugins.load(PACKAGE, control.kind, NullVersion, "control").is_reference


def apply(
    control: Control, table: EmbeddingTable, seed: int, groups: np.ndarray | None = None
) -> EmbeddingTable:
    """Return the table of a control, in memory; the same items have a vector.

    Args:
        control: The control to apply.
        table: A real version, often a memory map.
        seed: The seed of the cell.
        groups: (V,) int codes of the item field that `control.within` names; None without `within`.

    Raises:
        ConfigError: The control does not support `within`, or `groups` does not match `within`.
    """
    kind = plugins.load(PACKAGE, control.kind, NullVersion, "control")
    if control.within is not None and not kind.takes_groups:
        raise ConfigError(
            f"control {control.kind!r} does not support 'within' (given: {control.within!r}); "
            "remove it."
        )
    if (control.within is None) != (groups is None):
        raise ConfigError(
            f"control '{control}' requires both 'within' and the codes of that field, or neither."
        )
    made = kind()  # pyright: ignore[reportAbstractUsage]
    return EmbeddingTable(made.vectors(table, seed, groups), table.has_vector)
