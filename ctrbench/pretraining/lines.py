"""Training lines out of a log: what a user was shown and clicked, and the clicks before.

A user's impressions of the `pretrain` period are cut into lines. A line ends with a click, or when
it is full; so each click is a target exactly once. Its history are the user's latest clicks
strictly before its first impression, without the items that it shows. Items without an image are
left out, as are lines without a history.

Source: COURIER (Yang et al. 2023, arXiv:2306.05001), section 3, and its appendix, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ctrbench.pretrain import LineBatch
from ctrbench.schema import Impressions

COUNTED = 200_000  # targets among which repetitions are looked for
LOOKED_BACK = 4  # times the history's length: how far back images are looked for


@dataclass(frozen=True)
class Lines:
    """L lines of P shown and H clicked items, and S clicks with what came before; 0 is no item."""

    shown: np.ndarray  # (L, P) int32
    click: np.ndarray  # (L, P) bool
    history: np.ndarray  # (L, H) int32, oldest first, the filled places last
    target: np.ndarray  # (S,) int32: clicks of the lines' histories, each once
    earlier: np.ndarray  # (S, H) int32, strictly before the target
    target_line: np.ndarray  # (S,) int64, ascending: the first line in whose history it stands
    user: np.ndarray  # (L,) int32, whose line it is

    def __len__(self) -> int:
        return len(self.shown)

    def batch(self, chosen: np.ndarray) -> LineBatch:
        """The lines at some places, (B,), with the targets that belong to them."""
        import torch

        begin, end = (np.searchsorted(self.target_line, chosen, side) for side in ("left", "right"))
        targets = np.concatenate([np.arange(a, b) for a, b in zip(begin, end, strict=True)] or [[]])
        targets = targets.astype(np.int64)
        parts = [
            self.shown[chosen],
            self.history[chosen],
            self.target[targets],
            self.earlier[targets],
        ]
        items, index = np.unique(np.concatenate([p.ravel() for p in parts]), return_inverse=True)
        if 0 in items[:1]:
            items, index = items[1:], index - 1
        places = np.split(index, np.cumsum([part.size for part in parts])[:-1])
        shown, history, target, earlier = (
            torch.from_numpy(place.reshape(part.shape)).long()
            for place, part in zip(places, parts, strict=True)
        )
        click = torch.from_numpy(self.click[chosen])
        return LineBatch(items, shown, click, history, target, earlier)


def make_lines(log: Impressions, has_image: np.ndarray, shown: int = 5, history: int = 5) -> Lines:
    """The lines of the `pretrain` period.

    Args:
        log: the data set's.
        has_image: (V,) bool.
        shown: P, impressions of a line at most.
        history: H, clicks of a history at most.
    """
    rows = log.rows("pretrain")
    everyone = np.arange(rows.start, rows.stop)
    everyone = everyone[has_image[log.item_id[rows]]]
    order = everyone[np.argsort(log.user_id[everyone], kind="stable")]  # a user's, in time
    user, click = log.user_id[order], np.equal(log.click[order], 1)
    place = np.arange(len(order))
    begins = np.append(True, (user[1:] != user[:-1]) | click[:-1])
    place -= np.maximum.accumulate(np.where(begins, place, 0))
    first = np.flatnonzero(place % shown == 0)  # of each line
    line = np.cumsum(place % shown == 0) - 1
    items, clicks = (np.zeros((len(first), shown), kind) for kind in (np.int32, bool))
    items[line, place % shown] = log.item_id[order]
    clicks[line, place % shown] = click
    start = log.history_start[order[first]].astype(np.int64)
    end = start + log.history_length[order[first]]
    clicked = _latest(log, has_image, start, end, items, history)
    kept = np.any(clicked > 0, axis=1)
    of, target, target_start, target_end = _new_clicks(log, user[first], start, end)
    alive = kept[of] & has_image[target]
    of, target = of[alive], target[alive]
    earlier = _latest(
        log, has_image, target_start[alive], target_end[alive], target[:, None], history
    )
    known = np.any(earlier > 0, axis=1)
    number = np.cumsum(kept) - 1
    return Lines(
        shown=items[kept],
        click=clicks[kept],
        history=clicked[kept],
        target=target[known],
        earlier=earlier[known],
        target_line=number[of[known]],
        user=user[first][kept],
    )


def masked(lines: Lines, rng: np.random.Generator) -> Lines:
    """The lines with a random click of each as the target, and the others as its history.

    Random masked prediction, which COURIER argues against: a click may be a target several times or
    never, and may be predicted from what came after it.
    """
    shown, history = lines.shown.copy(), lines.history.copy()
    line, place = np.nonzero(lines.click)
    history[line], drawn = _swapped(history[line], shown[line, place], rng)
    shown[line, place] = drawn
    earlier, target = _swapped(lines.earlier.copy(), lines.target, rng)
    return replace(lines, shown=shown, history=history, earlier=earlier, target=target)


def redundancy(lines: Lines) -> dict[str, float]:
    """What section 2 of COURIER's appendix holds against random masks, on the first targets.

    Returns:
        Shares of the targets that repeat a target of the same user, and of the pairs (target, item
        of its history) that the same user trains the other way round as well.
    """
    target, earlier = lines.target[:COUNTED], lines.earlier[:COUNTED]
    user = lines.user[lines.target_line[:COUNTED]].astype(np.int64)
    row, place = np.nonzero(earlier)
    pair = np.stack([user[row], target[row], earlier[row, place]], axis=1)
    other_way = {(one, item, target) for one, target, item in pair.tolist()}
    both = sum((one, target, item) in other_way for one, target, item in pair.tolist())
    distinct = len(np.unique(np.stack([user, target]), axis=1).T)
    return {
        "repeated_targets": 1 - distinct / max(len(user), 1),
        "reversed_pairs": both / max(len(pair), 1),
    }


def _swapped(
    history: np.ndarray, target: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Exchange each target with one of its history or itself, each equally likely."""
    length = (history > 0).sum(axis=1)
    drawn = rng.integers(0, length + 1)  # 0: the target stays
    rows = np.flatnonzero(drawn)
    place = history.shape[1] - drawn[rows]
    new = target.copy()
    new[rows] = history[rows, place]
    history[rows, place] = target[rows]
    return history, new


def _latest(
    log: Impressions,
    has_image: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    apart: np.ndarray,
    length: int,
) -> np.ndarray:
    """(n, length) the latest items of the ranges [start, end) that have an image.

    Args:
        log: its flat history is what the ranges cut from.
        has_image: (V,) bool.
        start: (n,).
        end: (n,).
        apart: (n, P) items that are left out.
        length: of the result; filled from behind, 0 before.
    """
    window = length * LOOKED_BACK
    places = end[:, None] - window + np.arange(window)  # (n, window)
    inside = places >= start[:, None]
    items = np.zeros(places.shape, np.int32)
    items[inside] = log.history_items[places[inside]]
    usable = inside & has_image[items] & ~(items[:, :, None] == apart[:, None, :]).any(axis=2)
    rank = np.cumsum(usable[:, ::-1], axis=1)[:, ::-1]  # 1: the latest usable
    found = np.zeros((len(end), length), np.int32)
    row, place = np.nonzero(usable & (rank <= length))
    found[row, length - rank[row, place]] = items[row, place]
    return found


def _new_clicks(
    log: Impressions, user: np.ndarray, start: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Clicks by the first line in whose history they stand: line, item, and the range before each.

    Of derived histories all clicks that came since the user's line before; of given ones, whose
    order over lines nobody knows, the last of each distinct list.
    """
    if log.manifest.history == "given":
        last = np.flatnonzero(end > start)
        _, once = np.unique(end[last], return_index=True)
        line = last[np.sort(once)]
        return line, log.history_items[end[line] - 1], start[line], end[line] - 1
    same = np.zeros(len(user), bool)
    same[1:] = user[1:] == user[:-1]
    since = np.where(same, np.roll(end, 1), start)
    count = end - since
    line = np.repeat(np.arange(len(user)), count)
    place = np.arange(len(line)) - np.repeat(np.cumsum(count) - count, count) + since[line]
    return line, log.history_items[place], start[line], _strictly_before(log, place)


def _strictly_before(log: Impressions, place: np.ndarray) -> np.ndarray:
    """Where the clicks strictly before some clicks end, by their own impressions."""
    rows = log.rows("pretrain")
    clicked = rows.start + np.flatnonzero(log.click[rows] == 1)
    assert log.timestamp is not None
    keys = log.item_id[clicked], log.timestamp[clicked], log.user_id[clicked]
    clicked = clicked[np.lexsort(keys)]  # the order of the flat history
    before = log.history_start[clicked].astype(np.int64) + log.history_length[clicked]
    user = log.user_id[clicked]
    first = np.flatnonzero(np.diff(user, prepend=-1))
    within = np.arange(len(user)) - np.repeat(first, np.diff(first, append=len(user)))
    own = log.history_start[clicked] + within  # where each stands itself
    return before[np.searchsorted(own, place)]
