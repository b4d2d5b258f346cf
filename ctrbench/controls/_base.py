"""The contract of a control, and the application of the one that a benchmark names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from ctrbench import plugins
from ctrbench.errors import ConfigError
from ctrbench.schema import Control, EmbeddingTable

PACKAGE = "ctrbench.controls"


class NullVersion(ABC):
    """A way to take the images' information out of a table."""

    takes_groups: ClassVar[bool] = False  # whether `within` means anything to it

    @abstractmethod
    def vectors(self, table: EmbeddingTable, seed: int, groups: np.ndarray | None) -> np.ndarray:
        """New vectors (V, D) in the table's type, zero where it has none.

        Args:
            table: often a memory map; is not changed.
            seed: names the streams that chance is drawn from.
            groups: (V,) codes of the `within` field, only for controls that take them.
        """


def apply(
    control: Control, table: EmbeddingTable, seed: int, groups: np.ndarray | None = None
) -> EmbeddingTable:
    """The control's table, in memory; the same items have a vector.

    Args:
        control: which one.
        table: a real version, often a memory map.
        seed: of the cell; each draws its own.
        groups: (V,) codes of the item field that `control.within` names; None without `within`.

    Raises:
        ConfigError: `within` with a control that takes no groups, or without the field's codes.
    """
    kind = plugins.load(PACKAGE, control.kind, NullVersion, "control")
    if control.within is not None and not kind.takes_groups:
        raise ConfigError(
            f"control {control.kind!r} takes no 'within' (here {control.within!r}); leave it out."
        )
    if (control.within is None) != (groups is None):
        raise ConfigError(f"control '{control}': 'within' and the field's codes go together.")
    made = kind()  # pyright: ignore[reportAbstractUsage]
    return EmbeddingTable(made.vectors(table, seed, groups), table.has_vector)
