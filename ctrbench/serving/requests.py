"""Look-ups of a server: the inputs of items, users and impressions, and whole requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctrbench.batches.packing import FieldInputs, Packer
from ctrbench.injection import Prepared
from ctrbench.schema import Ragged
from ctrbench.serving.features import (
    HAS,
    HISTORY,
    IMAGE,
    ITEM,
    OF_STATISTIC,
    PADDING,
    STATE,
    TARGET,
    UNIT,
    Features,
    Vectors,
)

Request = dict[str, np.ndarray]  # by input
Columns = dict[str, Any]  # (n, ...) arrays, or n lists of codes, by input


@dataclass(frozen=True)
class Lookups:
    """What a server looks up: the values of every input for items, users and impressions."""

    packer: Packer
    prepared: Prepared
    vectors: Mapping[str, Vectors]
    features: Features

    def items(self, rows: np.ndarray) -> Columns:
        """Return the inputs of items.

        Args:
            rows: (n,) int item ids of the data set; 0 is an item without a row.
        """
        found: Columns = {ITEM: self.packer.known_id[rows].astype(np.int64)}
        found |= _fields("item.", self.packer.inputs.item, rows)
        for name, values in self.prepared.item.items():
            taken = np.asarray(values[rows])
            found[IMAGE + name] = taken.astype(np.int64 if taken.dtype.kind in "iu" else np.float32)
        for key, one in self.vectors.items():
            found[UNIT + key] = one.unit[rows]
            found[HAS + key] = one.has_vector[rows].astype(np.float32)
        return found

    def users(self, rows: np.ndarray) -> Columns:
        """Return the inputs of users, by (n,) int user ids of the data set."""
        return _fields("user.", self.packer.inputs.user, rows)

    def request(self, rows: np.ndarray) -> Request:
        """Return the request of some impressions, with histories as long as the longest one.

        Args:
            rows: (B,) int row numbers of impressions from `train` on.
        """
        log, slots = self.packer.slots.impressions, self.packer.slots
        positions, row, lengths = slots.positions(rows)
        items, index = np.unique(
            np.concatenate([log.item_id[rows], log.history_items[positions]]), return_inverse=True
        )
        history = np.full((len(rows), max(1, int(lengths.max(initial=0)))), PADDING, np.int64)
        slot = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        history[row, slot] = index[len(rows) :]
        found = {TARGET: index[: len(rows)].astype(np.int64), HISTORY: history}
        found |= self.items(items)
        statistics = self.packer.raw_statistics(rows)
        for place, name in enumerate(self.packer.statistics):
            found[STATE + OF_STATISTIC[name]] = statistics[:, place].astype(np.float64)
        found |= self.users(log.user_id[rows])
        found |= _fields("context.", self.packer.inputs.context, rows)
        return self.padded(found)

    def padded(self, found: Columns) -> Request:
        """Return the inputs in their order, with lists padded to the longest one."""
        return {
            one.name: padded(found[one.name]) if one.kind == "list" else found[one.name]
            for one in self.features.inputs
        }


def padded(lists: Sequence[np.ndarray]) -> np.ndarray:
    """Return n lists of codes as (n, W) int64, with -1 after their end; W is at least 1.

    >>> padded([np.array([3, 4]), np.array([])]).tolist()
    [[3, 4], [-1, -1]]
    """
    width = max([1, *map(len, lists)])
    found = np.full((len(lists), width), PADDING, np.int64)
    for row, codes in enumerate(lists):
        found[row, : len(codes)] = codes
    return found


def _fields(prefix: str, fields: FieldInputs, rows: np.ndarray) -> Columns:
    found: Columns = {}
    for name, column in fields.columns.items():
        seen = fields.known[name].seen
        if isinstance(column, Ragged):
            bounds = zip(column.offsets[rows], column.offsets[rows + 1], strict=True)
            found[prefix + name] = [
                seen[column.values[start:stop]].astype(np.int64) for start, stop in bounds
            ]
        else:
            found[prefix + name] = seen[column[rows]].astype(np.int64)
    for name, column in fields.numeric.items():
        found[prefix + name] = np.asarray(column[rows], np.float64)
    return found
