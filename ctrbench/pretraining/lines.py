"""Training lines of a log: impressions of a user, and the clicks before them.

The impressions of a user in the `pretrain` period are split into lines. A line ends with a click
or at its largest length, so each click is the target of exactly one line. The history of a line
contains the latest clicks of the user strictly before its first impression, except items that the
line shows. Items without an image and lines without a history are excluded.

Lines are stored as positions in the log; a batch reads its items from the log.

Source: COURIER (Yang et al. 2023, arXiv:2306.05001), section 3, and its appendix, section 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ctrbench.arrays import blocks
from ctrbench.pretraining.histories import (
    filled_places,
    history_of,
    latest,
    narrow,
    new_clicks,
    positions_of,
)
from ctrbench.pretraining.methods import LineBatch
from ctrbench.schema import Impressions

COUNTED = 200_000  # targets on which redundancy is measured
LINES_AT_ONCE = 1 << 12
DRAWN_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class LineItems:
    """B lines of P shown and H clicked items, and S targets with their history; 0 is padding."""

    shown: np.ndarray  # (B, P) int32
    click: np.ndarray  # (B, P) bool
    history: np.ndarray  # (B, H) int32, oldest first, right-aligned
    target: np.ndarray  # (S,) int32: clicks of the histories, each once
    earlier: np.ndarray  # (S, H) int32, strictly before the target
    target_line: np.ndarray  # (S,) int64, ascending: the line of each target
    user: np.ndarray  # (B,) int32, the user of each line


@dataclass(frozen=True)
class Lines:
    """L lines of at most P impressions and H clicks, and S targets, as positions in the log."""

    log: Impressions
    has_image: np.ndarray  # (V,) bool
    shown: int  # P
    history: int  # H
    row: np.ndarray  # (n,) impressions with an image, sorted by user and time
    begin: np.ndarray  # (L,) the first impression of each line in `row`
    length: np.ndarray  # (L,) the number of impressions of each line
    clicked: np.ndarray  # (L,) bool: whether the line ends with a click
    filled: np.ndarray  # (L,) the number of clicks in the history of each line
    target_begin: np.ndarray  # (L + 1,) targets of line i: [target_begin[i], target_begin[i + 1])
    target: np.ndarray  # (S,) position in the flat history
    target_end: np.ndarray  # (S,) end of the clicks strictly before the target
    target_filled: np.ndarray  # (S,) the number of clicks in the history of the target
    swap: np.ndarray | None = None  # (L,) history click to swap with the target
    target_swap: np.ndarray | None = None  # (S,) the same per target; 1: the latest, 0: none

    def __len__(self) -> int:
        return len(self.begin)

    def items(self, chosen: np.ndarray) -> LineItems:
        """Return the items of lines and of their targets; `chosen` is (B,) int."""
        log, last = self.log, self.length[chosen].astype(np.int64) - 1
        place = np.arange(self.shown)
        filled = place <= last[:, None]  # (B, P)
        rows = self.row[np.where(filled, self.begin[chosen][:, None] + place, 0)]
        shown = np.where(filled, log.item_id[rows], 0)
        click = filled & (log.click[rows] == 1)
        start, end = history_of(log, rows[:, 0])
        history = latest(log, self.has_image, start, end, shown, self.history)
        begin, stop = self.target_begin[chosen], self.target_begin[chosen + 1]
        line, targets = positions_of(begin, stop)
        target = log.history_items[self.target[targets]]
        earlier = latest(
            log,
            self.has_image,
            start[line],
            self.target_end[targets],
            target[:, None],
            self.history,
        )
        if self.swap is not None and self.target_swap is not None:
            own = np.arange(len(chosen)), last
            shown[own] = _swapped(history, shown[own], self.swap[chosen])
            target = _swapped(earlier, target, self.target_swap[targets])
        return LineItems(shown, click, history, target, earlier, line, log.user_id[rows[:, 0]])

    def batch(self, chosen: np.ndarray) -> LineBatch:
        """Return lines with their targets as a batch; `chosen` is (B,) int."""
        import torch

        found = self.items(chosen)
        parts = [found.shown, found.history, found.target, found.earlier]
        items, index = np.unique(np.concatenate([p.ravel() for p in parts]), return_inverse=True)
        if 0 in items[:1]:
            items, index = items[1:], index - 1
        places = np.split(index, np.cumsum([part.size for part in parts])[:-1])
        shown, history, target, earlier = (
            torch.from_numpy(place.reshape(part.shape)).long()
            for place, part in zip(places, parts, strict=True)
        )
        return LineBatch(items, shown, torch.from_numpy(found.click), history, target, earlier)

    def distinct_items(self) -> int:
        """Return the number of distinct items that are shown or in a history."""
        seen = np.zeros(len(self.has_image), bool)
        for lines in blocks(len(self), LINES_AT_ONCE):
            found = self.items(np.arange(lines.start, lines.stop))
            seen[found.shown] = seen[found.history] = True
        return int(seen[1:].sum())


def make_lines(log: Impressions, has_image: np.ndarray, shown: int = 5, history: int = 5) -> Lines:
    """Return the lines of the `pretrain` period.

    Args:
        log: The impressions of the data set.
        has_image: (V,) bool.
        shown: The largest number of impressions of a line, P.
        history: The largest number of clicks of a history, H.
    """
    row = _rows_by_user(log, has_image)
    begin, length = _cut(log, row, shown)
    start, end = (narrow(one, len(log.history_items)) for one in history_of(log, row[begin]))

    def shown_items(lines: slice) -> np.ndarray:
        place = np.arange(shown)
        filled = place < length[lines, None]
        return np.where(
            filled, log.item_id[row[np.where(filled, begin[lines, None] + place, 0)]], 0
        )

    filled = filled_places(log, has_image, start, end, shown_items, history)
    has_history = filled > 0
    line, target, target_end = new_clicks(log, log.user_id[row[begin]], start, end)
    usable = has_history[line] & has_image[log.history_items[target]]
    line, target, target_end = line[usable], target[usable], target_end[usable]
    target_filled = filled_places(
        log,
        has_image,
        start[line],
        target_end,
        lambda targets: log.history_items[target[targets]][:, None],
        history,
    )
    kept = target_filled > 0
    count = np.bincount(line[kept], minlength=len(begin))[has_history]
    return Lines(
        log=log,
        has_image=has_image,
        shown=shown,
        history=history,
        row=row,
        begin=begin[has_history],
        length=length[has_history],
        clicked=log.click[row[begin[has_history] + length[has_history] - 1]] == 1,
        filled=filled[has_history],
        target_begin=narrow(np.append(0, np.cumsum(count)), len(target)),
        target=target[kept],
        target_end=target_end[kept],
        target_filled=target_filled[kept],
    )


def masked(lines: Lines, rng: np.random.Generator) -> Lines:
    """Return lines in which a random click is the target, and the other clicks are the history.

    This is random masked prediction, which the COURIER paper rejects, because a click can be a
    target several times or never, and can be predicted from later clicks.

    Args:
        lines: The lines.
        rng: The random stream.
    """
    swap = np.zeros(len(lines), lines.filled.dtype)
    swap[lines.clicked] = _drawn(lines.filled[lines.clicked], rng)
    return replace(lines, swap=swap, target_swap=_drawn(lines.target_filled, rng))


def redundancy(lines: Lines) -> dict[str, float]:
    """Return the redundancy of random masks on the first targets.

    Returns:
        `repeated_targets`, the share of targets that repeat a target of the same user, and
        `reversed_pairs`, the share of pairs (target, history item) that occur in reverse for
        the same user.

    Source: COURIER, appendix, section 2.
    """
    counted = min(len(lines.target), COUNTED)
    pairs = reversed_pairs = distinct = 0
    for chosen in _user_groups(lines, counted):
        found, left = lines.items(chosen), counted - int(lines.target_begin[chosen[0]])
        user = np.unique(found.user[found.target_line[:left]], return_inverse=True)[1]
        earlier = found.earlier[:left]
        row, place = np.nonzero(earlier)
        both = np.concatenate([found.target[:left], earlier[row, place]])
        items, code = np.unique(both, return_inverse=True)
        target, other, count = code[: len(user)], code[len(user) :], len(items)
        distinct += len(np.unique(user * count + target))
        own = user[row] * count
        one_way = (own + target[row]) * count + other
        pairs += len(row)
        reversed_pairs += int(np.isin((own + other) * count + target[row], one_way).sum())
    return {
        "repeated_targets": 1 - distinct / counted if counted else 0.0,
        "reversed_pairs": reversed_pairs / max(pairs, 1),
    }


def _user_groups(lines: Lines, counted: int) -> Iterator[np.ndarray]:
    """Yield the lines of the first targets in groups; a group contains all lines of its users."""
    stop = int(np.searchsorted(lines.target_begin[:-1], counted))
    user = lines.log.user_id[lines.row[lines.begin[:stop]]]
    first = np.flatnonzero(np.diff(user, prepend=-1))  # of each user
    part = lines.target_begin[first] // LINES_AT_ONCE
    begins = first[np.flatnonzero(np.diff(part, prepend=-1))]
    for begin, end in pairwise(np.append(begins, stop)):
        yield np.arange(begin, end)


def _drawn(length: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a number drawn uniformly from 0 to the length of each history, (n,)."""
    drawn = np.empty_like(length)
    for part in blocks(len(length), DRAWN_AT_ONCE):
        drawn[part] = rng.integers(0, length[part].astype(np.int64) + 1)
    return drawn


def _swapped(history: np.ndarray, target: np.ndarray, swap: np.ndarray) -> np.ndarray:
    """Swap each target with a click of its history, in place; return the new targets."""
    rows = np.flatnonzero(swap)
    place = history.shape[1] - swap[rows].astype(np.int64)
    new = target.copy()
    new[rows] = history[rows, place]
    history[rows, place] = target[rows]
    return new


def _rows_by_user(log: Impressions, has_image: np.ndarray) -> np.ndarray:
    """Return impressions of `pretrain` with an image, sorted by user and time, (n,)."""
    period = log.rows("pretrain")
    rows = period.start + np.flatnonzero(has_image[log.item_id[period]])
    rows = narrow(rows, period.stop)
    return rows[np.argsort(log.user_id[rows], kind="stable")]


def _cut(log: Impressions, row: np.ndarray, shown: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first impression and the number of impressions of each line, (L,) each."""
    user, click = log.user_id[row], log.click[row] == 1
    begins = np.append(True, (user[1:] != user[:-1]) | click[:-1])
    place = np.arange(len(row), dtype=row.dtype)
    place -= np.maximum.accumulate(np.where(begins, place, 0))
    begin = np.flatnonzero(place % shown == 0)
    length = np.diff(begin, append=len(row)).astype(np.min_scalar_type(shown))
    return narrow(begin, len(row)), length
