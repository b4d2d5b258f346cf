"""History slots: the latest clicks of every impression, end to end, without padding."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from ctrbench.arrays import write_npy
from ctrbench.impressions.periods import chunks, count_targets, histories, ranges
from ctrbench.schema import Impressions

COARSE = 32  # impressions per stored start of slots; other starts are sums of lengths
BLOCK_SLOTS = 1 << 15  # with 1,280 wide vectors, two gathers of 160 MB


@dataclass(frozen=True)
class HistorySlots:
    """The slots of all impressions from `train` on; a mode may prepare one value per slot.

    Slot arrays, such as similarities, follow this order: impressions as stored, each with its
    latest `history_length` clicks, oldest first.
    """

    impressions: Impressions
    history_length: int  # T, the number of latest clicks in the input of a model
    scratch: Path | None = None  # a folder for values of all slots; None: values are kept in memory

    @property
    def first_row(self) -> int:
        """The first impression that has slots; `pretrain` impressions are never trained on."""
        return self.impressions.rows("train").start

    @property
    def total(self) -> int:
        """The number of slots."""
        return int(self._coarse[-1])

    def positions(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return where the histories of some impressions are stored.

        Args:
            rows: (B,) int, row numbers of impressions.

        Returns:
            (M,) int64 positions in history_items, (M,) int64 index of the row that each
            belongs to, ascending, and (B,) int64 number of slots per row.
        """
        log = self.impressions
        full = log.history_length[rows]
        lengths = np.minimum(full, self.history_length).astype(np.int64)
        first = log.history_start[rows] + full - lengths
        return ranges(first, lengths), np.repeat(np.arange(len(rows)), lengths), lengths

    def slots(self, rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return (M,) int64, the positions of the rows' slots in a slot array.

        Args:
            rows: (B,) int, row numbers from `train` on.
            lengths: (B,) int64, the slots of each row.
        """
        return ranges(self.starts(rows), lengths)

    def starts(self, rows: np.ndarray) -> np.ndarray:
        """Return (B,) int64, the position of each row's first slot in a slot array."""
        block = (rows - self.first_row) // COARSE
        before = self.first_row + block[:, None] * COARSE + np.arange(COARSE - 1)  # (B, COARSE - 1)
        lengths = self._lengths(np.minimum(before, len(self.impressions.item_id) - 1))
        return self._coarse[block] + np.sum(lengths, axis=1, where=before < rows[:, None])

    @cached_property
    def _coarse(self) -> np.ndarray:
        """(blocks + 1,) int64, the first slot of every COARSE-th impression, and the end.

        Other starts are not kept, because a log may have more impressions than fit into memory.
        """
        rows = slice(self.first_row, len(self.impressions.item_id))
        sums = [
            np.add.reduceat(lengths, np.arange(0, len(lengths), COARSE), dtype=np.int64)
            for lengths in map(self._lengths, chunks(rows))
        ]
        return np.concatenate([[0], np.cumsum(np.concatenate(sums))])

    def _lengths(self, rows: np.ndarray | slice) -> np.ndarray:
        """Return the number of slots of each row."""
        return np.minimum(self.impressions.history_length[rows], self.history_length)

    def pairs(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Yield blocks of (slots, target item of each, history item of each), in order."""
        step, end = max(1, BLOCK_SLOTS // self.history_length), 0
        for start in range(self.first_row, len(self.impressions.item_id), step):
            rows = np.arange(start, min(start + step, len(self.impressions.item_id)))
            positions, row, _ = self.positions(rows)
            where = slice(end, end + len(positions))
            end = where.stop
            target = self.impressions.item_id[rows][row]
            yield where, target, self.impressions.history_items[positions]

    def stored(self, dtype: DTypeLike, blocks: Iterable[np.ndarray]) -> np.ndarray:
        """Return a slot array from the values of each block of `pairs`.

        With a `scratch` folder the array is a memory-mapped file.

        Args:
            dtype: The type of the stored values.
            blocks: (n,) values of each block.

        Returns:
            (slots,) values.
        """
        if self.scratch is None or not self.total:
            return np.concatenate([np.empty(0, dtype), *(block.astype(dtype) for block in blocks)])
        with tempfile.NamedTemporaryFile(dir=self.scratch, suffix=".npy", delete=False) as file:
            write_npy(file, np.dtype(dtype), (self.total,), blocks)
        return np.load(file.name, mmap_mode="r")

    def item_counts(self, period: str) -> np.ndarray:
        """Return the number of occurrences of each item in a period, as target or in a slot.

        Returns:
            (V,) int64; 0 means that the item is not in the inputs of the period.
        """
        log, rows = self.impressions, self.impressions.rows(period)
        counts = count_targets(log, rows)
        if log.manifest.history == "given":
            for items in histories(log, rows, self.history_length):
                counts += np.bincount(items, minlength=len(counts))
            return counts
        covered = self._clicks_covered(rows)
        for part in chunks(slice(0, len(covered))):
            counts += np.bincount(
                log.history_items[part], weights=covered[part], minlength=len(counts)
            ).astype(np.int64)
        return counts

    def _clicks_covered(self, rows: slice) -> np.ndarray:
        """Return (clicks,) int32, the number of rows whose slots contain each click."""
        log = self.impressions
        edges = np.zeros(len(log.history_items) + 1, np.int32)
        for part in chunks(rows):  # +1 where an impression's slots begin, -1 where they end
            stop = log.history_start[part] + log.history_length[part]
            np.add.at(edges, stop - self._lengths(part), 1)
            np.add.at(edges, stop, -1)
        return np.cumsum(edges, dtype=np.int32, out=edges)[:-1]
