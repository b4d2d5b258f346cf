"""The contract of a control, and the function that applies one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ctrbench import plugins
from ctrbench.errors import ConfigError
from ctrbench.schema import Control, EmbeddingTable
from ctrbench.seeding import stream

PACKAGE = "ctrbench.controls"


class NullVersion(ABC):
    """A control: replaces the vectors or codes of a table by others without image information."""

    takes_groups: ClassVar[bool] = False  # whether it supports `within`
    permutes: ClassVar[bool] = False  # whether it only moves vectors between items
    is_reference: ClassVar[bool] = False  # a sibling: versions are compared with it as well

    @abstractmethod
    def vectors(self, table: EmbeddingTable, seed: int, groups: np.ndarray | None) -> np.ndarray:
        """Return the new vectors, (V, D) in the dtype of the table; rows without a vector are zero.

        Args:
            table: The real version, often a memory map; it must not be modified.
            seed: The seed of the random streams.
            groups: (V,) int codes of the `within` field; None without `within`.
        """

    def codes(self, table: EmbeddingTable, seed: int, groups: np.ndarray | None) -> np.ndarray:
        """Return the new codes of a version of codes, (V, L); by default, `vectors` of its rows.

        Args:
            table: The real codes, (V, L) int; they must not be modified.
            seed: The seed of the random streams.
            groups: (V,) int codes of the `within` field; None without `within`.
        """
        return self.vectors(table, seed, groups)


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
    _check_groups(control, kind, groups)
    return _made(kind, table, seed, groups)


def apply_to_fields(
    control: Control,
    tables: Mapping[str, EmbeddingTable],
    seed: int,
    groups: np.ndarray | None = None,
) -> dict[str, EmbeddingTable]:
    """Return the tables of a control for all vector fields that one cell reads.

    A control that permutes moves all fields of an item together. If the fields differ in coverage,
    it moves them only among items that have a vector in the same fields. Other controls use
    separate random streams for the fields.

    Args:
        control: The control to apply.
        tables: By field, all of the same version.
        seed: The seed of the cell.
        groups: As that of `apply`.

    Raises:
        ConfigError: As `apply`.
    """
    first, *others = tables
    if not others:
        return {first: apply(control, tables[first], seed, groups)}
    kind = plugins.load(PACKAGE, control.kind, NullVersion, "control")
    _check_groups(control, kind, groups)
    if not kind.permutes:
        seeds = {first: seed}
        for position, name in enumerate(others, start=1):
            seeds[name] = int(stream(seed, "control", "field", position).integers(2**31))
        return {name: _made(kind, table, seeds[name], groups) for name, table in tables.items()}
    coverage = np.column_stack([table.has_vector for table in tables.values()])  # (V, fields)
    patterns = coverage if groups is None else np.column_stack([coverage, groups])
    together = np.unique(patterns, axis=0, return_inverse=True)[1].reshape(-1)  # (V,)
    items = np.arange(len(coverage), dtype=np.float64)[:, None]  # (V, 1)
    moved = _made(kind, EmbeddingTable(items, np.asarray(coverage.any(axis=1))), seed, together)
    giver = moved.vectors[:, 0].astype(np.int64)  # (V,) item 0, without a vector, for all others
    return {
        name: EmbeddingTable(np.asarray(table.vectors)[giver], table.has_vector)
        for name, table in tables.items()
    }


def _check_groups(control: Control, kind: type[NullVersion], groups: np.ndarray | None) -> None:
    if control.within is not None and not kind.takes_groups:
        raise ConfigError(
            f"control {control.kind!r} does not support 'within' (given: {control.within!r}); "
            "remove it."
        )
    if (control.within is None) != (groups is None):
        raise ConfigError(
            f"control '{control}' requires both 'within' and the codes of that field, or neither."
        )


def _made(
    kind: type[NullVersion], table: EmbeddingTable, seed: int, groups: np.ndarray | None
) -> EmbeddingTable:
    made = kind()  # pyright: ignore[reportAbstractUsage]
    replace = made.codes if table.vectors.dtype.kind == "i" else made.vectors
    return EmbeddingTable(replace(table, seed, groups), table.has_vector)
