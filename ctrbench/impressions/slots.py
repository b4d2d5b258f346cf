"""History slots: the latest clicks of every impression, end to end, without padding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ctrbench.schema import Impressions

BLOCK_SLOTS = 1 << 15  # with 1,280 wide vectors, two gathers of 160 MB


@dataclass(frozen=True)
class HistorySlots:
    """The slots of all impressions from `train` on: what a mode may prepare one value for.

    Slot arrays (similarities, say) follow this order: impressions as stored, each with its
    latest `history_length` clicks, oldest first.
    """

    impressions: Impressions
    history_length: int  # T, the latest clicks a model sees

    @property
    def first_row(self) -> int:
        """The first impression that has slots; `pretrain` impressions are never trained on."""
        return self.impressions.rows("train").start

    @cached_property
    def offsets(self) -> np.ndarray:
        """(n + 1,) int64: impression first_row + i owns slots offsets[i] to offsets[i + 1]."""
        lengths = np.minimum(self.impressions.history_length[self.first_row :], self.history_length)
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return offsets

    @property
    def total(self) -> int:
        """The number of slots."""
        return int(self.offsets[-1])

    def positions(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the history of some impressions stands.

        Args:
            rows: (B,) impressions.

        Returns:
            (M,) int64 positions in history_items, (M,) int64 which of the B rows each belongs
            to, ascending, and (B,) int64 how many each row has.
        """
        log = self.impressions
        full = log.history_length[rows]
        lengths = np.minimum(full, self.history_length).astype(np.int64)
        first = log.history_start[rows] + full - lengths
        return _ranges(first, lengths), np.repeat(np.arange(len(rows)), lengths), lengths

    def slots(self, rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """(M,) int64 positions of the rows' slots in a slot array."""
        return _ranges(self.offsets[rows - self.first_row], lengths)

    def pairs(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Blocks of (slots, target item of each, history item of each), in order."""
        step = max(1, BLOCK_SLOTS // self.history_length)
        for start in range(0, len(self.offsets) - 1, step):
            stop = min(start + step, len(self.offsets) - 1)
            rows = self.first_row + np.arange(start, stop)
            positions, row, _ = self.positions(rows)
            where = slice(int(self.offsets[start]), int(self.offsets[stop]))
            target = self.impressions.item_id[rows][row]
            yield where, target, self.impressions.history_items[positions]

    def item_counts(self, period: str) -> np.ndarray:
        """How often each item stands in a period's impressions, as target or in a slot.

        Returns:
            (V,) int64; 0 means that a model trained on the period never sees the item's id.
        """
        log, rows = self.impressions, self.impressions.rows(period)
        counts = np.bincount(log.item_id[rows], minlength=log.item_rows)
        full = log.history_length[rows].astype(np.int64)
        stop = log.history_start[rows] + full
        start = stop - np.minimum(full, self.history_length)
        # Each impression covers a range of positions: +1 at its start, -1 behind its end.
        size = len(log.history_items) + 1
        covered = np.cumsum(np.bincount(start, minlength=size) - np.bincount(stop, minlength=size))[
            :-1
        ]
        slots = np.bincount(log.history_items, weights=covered, minlength=log.item_rows)
        return counts + slots.astype(np.int64)


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Concatenation of range(start, start + length) over all pairs."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - ends + lengths, lengths) + np.arange(total)
