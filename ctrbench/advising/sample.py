"""The sample of a log on which `advise` measures: whole users, their impressions and histories."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ctrbench.batches.slots import HistorySlots
from ctrbench.errors import DataError
from ctrbench.impressions.periods import chunks
from ctrbench.schema import Impressions
from ctrbench.seeding import stream

MOST_ROWS = 200_000  # sampled impressions of train and valid together
MOST_SLOTS = 4_000_000  # their clicks
HISTORY = 50  # most clicks of a history
VALID = 2  # the fold of `valid`; those of `train` are 0 and 1
PRIOR = 20.0  # impressions at the mean click rate that are added to every count


@dataclass(frozen=True)
class Sample:
    """Impressions of sampled users in `train` and `valid`, in order of the log.

    A user's impressions of `train` are in one of two folds. What is learned for a fold comes from
    the other one, and what is learned for `valid` from both, so that no impression is scored by
    anything that its own click or its user contributed to.
    """

    log: Impressions
    rows: np.ndarray  # (n,) int64, row numbers
    fold: np.ndarray  # (n,) int8: 0, 1, or VALID

    @cached_property
    def click(self) -> np.ndarray:
        """(n,) float64, 1 for a click."""
        return self.log.click[self.rows].astype(np.float64)

    @cached_property
    def item(self) -> np.ndarray:
        """(n,) int32, the target items."""
        return self.log.item_id[self.rows]

    @cached_property
    def mean(self) -> float:
        """The click rate of the impressions of `train`."""
        return float(self.click[self.fold != VALID].mean())

    @property
    def scored(self) -> np.ndarray:
        """(n,) bool, the impressions on which gains are measured: `valid` and late ones of `train`.

        The later half of `train` has histories that are almost as long as those of `valid`.
        """
        train = self.fold != VALID
        return ~train | (np.cumsum(train) > train.sum() / 2)

    @cached_property
    def slots(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(m,) int32 clicked items, (m,) int64 the impression of each, and (n,) int64 counts."""
        positions, row, lengths = HistorySlots(self.log, HISTORY).positions(self.rows)
        return self.log.history_items[positions], row, lengths

    @cached_property
    def histories(self) -> Any:  # the stubs of scipy.sparse are wrong
        """(n, V) csr_matrix, float32: the shares of the items in each history, or zeros."""
        from scipy.sparse import csr_matrix

        item, row, lengths = self.slots
        weight = (1 / np.maximum(lengths, 1)).astype(np.float32)
        start = np.concatenate([[0], np.cumsum(lengths)])
        return csr_matrix((weight[row], item, start), (len(self.rows), self.log.item_rows))

    def pooled(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of the values of each impression's slots, (n,) float64; 0 without slots.

        Args:
            values: (m,) float, one per slot.
        """
        _, row, lengths = self.slots
        return np.bincount(row, values, len(self.rows)) / np.maximum(lengths, 1)

    def folds(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Return pairs of (n,) bool: the impressions to score, and those to learn from."""
        one, two = self.fold == 0, self.fold == 1
        return (one, two), (two, one), (self.fold == VALID, one | two)


def draw(log: Impressions) -> Sample:
    """Return the sample: all users, or as many as the limits allow.

    Raises:
        DataError: The sampled impressions of `train` or `valid` lack clicks or non-clicks.
    """
    train, valid = log.rows("train"), log.rows("valid")
    place = stream(0, "advice", "users").random(log.user_rows)
    slots = sum(
        int(np.minimum(log.history_length[part], HISTORY).sum(dtype=np.int64))
        for period in (train, valid)
        for part in chunks(period, log)
    )
    total = (train.stop - train.start) + (valid.stop - valid.start)
    share = min(1.0, MOST_ROWS / max(total, 1), MOST_SLOTS / max(slots, 1))
    rows = np.concatenate(
        [
            part.start + np.flatnonzero(place[log.user_id[part]] <= share)
            for period in (train, valid)
            for part in chunks(period, log)
        ]
    )
    fold = (stream(0, "advice", "folds").random(log.user_rows) < 0.5).astype(np.int8)
    made = Sample(log, rows, np.where(rows < train.stop, fold[log.user_id[rows]], VALID))
    for period, own in (("train", made.fold != VALID), ("valid", made.fold == VALID)):
        if len(np.unique(made.click[own])) == 1 or (period == "train" and not own.any()):
            raise DataError(
                f"the period {period} of data set {log.manifest.name!r} lacks clicks or "
                "non-clicks; a prediction requires both."
            )
    return made


def log_odds(rate: np.ndarray) -> np.ndarray:
    """Return log(p / (1 - p)) of rates between 0 and 1, exclusive."""
    return np.log(rate / (1 - rate))
