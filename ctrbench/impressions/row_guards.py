"""Guards of single impressions: ids, order in time, histories, repetitions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrbench.impressions.periods import CHUNK, chunks, count_users, history_end, ranges
from ctrbench.impressions.states import train_blocks
from ctrbench.printable import counted
from ctrbench.schema import Guard, Impressions

REAL_TIME = (
    "GAUC is biased if a model's inputs contain outcomes of the evaluation group. Import the log "
    "with --snapshot period, or with evaluation groups as fine as its states"
)
LATE = "impressions are not later than all impressions of earlier periods"


def ids(impressions: Impressions) -> Guard:
    """Check that all ids, clicks and history ranges are valid."""
    length = len(impressions.history_items)
    outside = 0
    for rows in chunks(slice(0, len(impressions.click)), impressions):
        users, items = impressions.user_id[rows], impressions.item_id[rows]
        start = impressions.history_start[rows]
        sound = (users > 0) & (users < impressions.user_rows)
        sound &= (items > 0) & (items < impressions.item_rows)
        sound &= np.isin(impressions.click[rows], (0, 1))
        sound &= (start >= 0) & (start + impressions.history_length[rows] <= length)
        outside += int(np.count_nonzero(~sound))
    if outside:
        what = counted(outside, "impression points", "impressions point")
        return Guard("ids", "error", f"{what} outside the tables")
    return Guard("ids", "ok", f"all {len(impressions.click)} impressions point into their tables")


def time_order(impressions: Impressions) -> Guard:
    """Check that each period is sorted by time."""
    times = impressions.timestamp
    if times is None:
        return Guard(
            "time order", "warning", "there are no timestamps; the order of the files is used"
        )
    backward = 0
    for period in impressions.manifest.periods:
        for part in chunks(impressions.rows(period), impressions):
            stretch = times[max(part.start - 1, impressions.rows(period).start) : part.stop]
            backward += int(np.count_nonzero(np.diff(stretch) < 0))
    if backward:
        message = (
            f"{counted(backward, 'impression is', 'impressions are')} older than the preceding one"
        )
        return Guard("time order", "error", message)
    return Guard("time order", "ok", "each period is sorted by time")


def overlap(impressions: Impressions) -> Guard:
    """Check that periods follow each other in time; with split `per_user`, for each user."""
    times, name = impressions.timestamp, "overlap of periods"
    if times is None:
        return Guard(
            name,
            "warning",
            "there are no timestamps; nothing confirms that test is the latest period",
        )
    late = _older_than_before(impressions, times)
    rows = sum(late.values())
    counts = ", ".join(f"{count} of {period}" for period, count in late.items() if count)
    kind = impressions.manifest.split.kind
    if kind == "per_user":
        wrong = _older_per_user(impressions, times)
        if wrong:
            message = (
                f"{counted(wrong, 'user has', 'users have')} a period that begins before the "
                "preceding one ends"
            )
            return Guard(name, "error", message)
        message = "each user's periods follow each other"
        if rows:
            message += f"; across users {counts} {LATE}, so that future popularity leaks"
        return Guard(name, "warning" if rows else "ok", message)
    if rows:
        return Guard(name, "error" if kind == "time" else "warning", f"{counts} {LATE}")
    return Guard(name, "ok", "every period begins after the preceding one ends")


def _older_than_before(impressions: Impressions, times: np.ndarray) -> dict[str, int]:
    """Return, by period, the number of impressions not later than those of earlier periods."""
    late, end = {}, None
    for period in impressions.manifest.periods:
        rows, latest = impressions.rows(period), []
        late[period] = 0
        for part in chunks(rows, impressions):
            block = times[part]
            latest.append(int(block.max()))
            late[period] += 0 if end is None else int(np.count_nonzero(block <= end))
        end = max([*latest] if end is None else [end, *latest])
    return late


def _older_per_user(impressions: Impressions, times: np.ndarray) -> int:
    """Return the number of users with a period that begins before their preceding one ends."""
    end = np.full(impressions.user_rows, np.iinfo(np.int64).min)
    wrong = np.zeros(impressions.user_rows, bool)
    for period in impressions.manifest.periods:
        latest = end.copy()
        for part in chunks(impressions.rows(period), impressions):
            users, block = impressions.user_id[part], times[part]
            wrong[users[block <= end[users]]] = True
            np.maximum.at(latest, users, block)
        end = latest
    return int(np.count_nonzero(wrong))


def user_blocks(impressions: Impressions) -> Iterator[np.ndarray]:
    """Yield row numbers of complete users, about CHUNK rows at a time."""
    shown, _ = count_users(impressions, slice(0, len(impressions.click)))
    block_of_user = np.cumsum(shown) // CHUNK
    for block in np.unique(block_of_user):
        first, after = np.searchsorted(block_of_user, [block, block + 1])
        parts = [
            rows.start + np.flatnonzero((users >= first) & (users < after))
            for rows in chunks(slice(0, len(impressions.click)), impressions)
            for users in [impressions.user_id[rows]]
        ]
        yield np.concatenate(parts)


def strictly_before(impressions: Impressions) -> Guard:
    """Check that a derived history consists of the user's clicks strictly before the snapshot."""
    name = "history strictly before"
    if impressions.manifest.history == "given":
        return _given_within_groups(impressions, name)
    times, wrong = impressions.timestamp, 0
    if times is None:
        return Guard(name, "error", "the history is derived, but there are no timestamps")
    for rows in user_blocks(impressions):
        wrong += _wrong_histories(impressions, rows, times[rows])
    if wrong:
        of = counted(wrong, "impression")
        message = f"the histories of {of} are not the clicks before the snapshot"
        return Guard(name, "error", message)
    kind = impressions.manifest.snapshot
    if kind == "impression":
        return Guard(name, "warning", f"every history ends before its impression. {REAL_TIME}")
    message = f"every history ends before the first impression of its {kind}; ties are excluded"
    return Guard(name, "ok", message)


def _wrong_histories(impressions: Impressions, rows: np.ndarray, times: np.ndarray) -> int:
    """Return how many rows of complete users have a history that differs from a recount."""
    users, items = impressions.user_id[rows], impressions.item_id[rows]
    order = np.lexsort((items, times, users))
    users, items, times = users[order], items[order], times[order]
    clicks = impressions.click[rows][order].astype(np.int64)
    new_user = np.diff(users, prepend=-1) != 0
    first_of_user = np.maximum.accumulate(np.where(new_user, np.arange(len(users)), 0))
    new_moment = new_user | (np.diff(times, prepend=times[:1]) != 0)
    first_of_moment = np.maximum.accumulate(np.where(new_moment, np.arange(len(users)), 0))
    earlier = np.cumsum(clicks) - clicks
    before = earlier[first_of_moment] - earlier[first_of_user]
    unit = _units(impressions, rows[order])
    least = np.full(len(rows), len(rows))
    np.minimum.at(least, unit, before)  # clicks before the first impression of the unit
    start = impressions.history_start[rows][order]
    wrong = impressions.history_length[rows][order] != least[unit]
    wrong |= _too_often_renewed(impressions, rows[order], users, unit)
    wrong |= start != start[first_of_user]
    clicked = np.flatnonzero(clicks)
    position = start[clicked] + earlier[clicked] - earlier[first_of_user][clicked]
    inside = position < len(impressions.history_items)
    wrong[clicked[~inside]] = True
    stored = impressions.history_items[position[inside]]
    wrong[clicked[inside][stored != items[clicked[inside]]]] = True
    return int(np.count_nonzero(wrong))


def _too_often_renewed(
    impressions: Impressions, rows: np.ndarray, users: np.ndarray, unit: np.ndarray
) -> np.ndarray:
    """Return (n,) whether the user of a row of `train` has more states than blocks."""
    edges = impressions.manifest.periods
    train = (rows >= edges["train"][0]) & (rows < edges["train"][1])
    if impressions.manifest.snapshot != "period" or not train.any():
        return np.zeros(len(rows), bool)
    pairs = np.unique(np.stack([users[train], unit[train]]), axis=1)
    states = np.bincount(pairs[0], minlength=int(users.max()) + 1)
    return train & (states[users] > train_blocks(edges))


def _units(impressions: Impressions, rows: np.ndarray) -> np.ndarray:
    """Return (n,) int64 numbers of the snapshot units of the rows, from 0.

    With the snapshot `period`, the units of `train` are its blocks. The data set does not store
    them, but rows of one block share their prior count.
    """
    kind, edges = impressions.manifest.snapshot, impressions.manifest.periods
    alone = np.full(len(rows), kind == "impression")
    alone |= rows < edges.get("pretrain", (0, 0))[1]
    part = rows >= edges["train"][1]
    part = part.astype(np.int64) + (rows >= edges["valid"][1])  # 0: train, 1: valid, 2: test
    key = [impressions.group_id[rows].astype(np.int64), part, np.where(alone, 1 + rows, 0)]
    if kind == "period" and impressions.prior_impressions is not None:
        key.append(np.where(part == 0, impressions.prior_impressions[rows], 0))
    return np.unique(np.stack(key), axis=1, return_inverse=True)[1].ravel()


def _given_within_groups(impressions: Impressions, name: str) -> Guard:
    """Check whether given histories contain clicks of their own evaluation group."""
    held, shown = own_outcomes(impressions)
    if not held:
        message = f"the given histories of {shown} test impressions contain no own outcomes"
        if impressions.timestamp is None:
            message += "; without timestamps their times cannot be verified"
        elif impressions.manifest.snapshot == "impression":
            message += f"; but click rates are those at each impression. {REAL_TIME}"
        else:
            return Guard(name, "ok", message)
        return Guard(name, "warning", message)
    message = (
        f"the given histories of {held} of {shown} test impressions contain items that their user "
        "clicked earlier in the same evaluation group. GAUC is biased if a model's inputs contain "
        "outcomes of the evaluation group. Cut histories at the start of each group, remove them "
        "with --drop history, or choose finer groups with --snapshot"
    )
    return Guard(name, "warning", message)


def own_outcomes(impressions: Impressions) -> tuple[int, int]:
    """Count test impressions whose given history contains outcomes of their evaluation group.

    An outcome is an item that the group clicked and that is not in the history of the group's
    first impression.

    Returns:
        The number of such impressions, and the number of all test impressions.
    """
    test = impressions.rows("test")
    rows = np.arange(test.start, test.stop)
    _, group = np.unique(impressions.group_id[test], return_inverse=True)
    width = np.int64(impressions.item_rows)
    first = np.full(int(group.max()) + 1, len(rows))
    np.minimum.at(first, group, np.arange(len(rows)))  # rows of a period are sorted by time
    clicked = impressions.click[rows] == 1
    outcomes = np.unique(group[clicked] * width + impressions.item_id[rows[clicked]])
    before = [items for _, items in _held(impressions, rows[first], np.arange(len(first)), width)]
    fresh = np.setdiff1d(outcomes, np.concatenate(before), assume_unique=False)
    holds = np.zeros(len(rows), bool)
    for place, items in _held(impressions, rows, group, width):
        holds[place[np.isin(items, fresh)]] = True
    return int(np.count_nonzero(holds)), len(rows)


def _held(
    impressions: Impressions, rows: np.ndarray, group: np.ndarray, width: np.int64
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield blocks of (index into `rows`, group and item as one number) of all history items."""
    lengths = impressions.history_length[rows].astype(np.int64)
    block = np.cumsum(lengths) // CHUNK
    for number in np.unique(block):
        mine = np.flatnonzero(block == number)
        place = np.repeat(mine, lengths[mine])
        items = impressions.history_items[
            ranges(impressions.history_start[rows[mine]], lengths[mine])
        ]
        yield place, group[place] * width + items


def duplicates(impressions: Impressions) -> Guard:
    """Check whether an item is shown to a user at the same time more than once."""
    times, repeated, conflicting = impressions.timestamp, 0, 0
    for rows in user_blocks(impressions):
        users, items = impressions.user_id[rows], impressions.item_id[rows]
        moment = history_end(impressions, rows) if times is None else times[rows]
        click = impressions.click[rows]
        order = np.lexsort((click, moment, items, users))
        same = np.ones(max(len(rows) - 1, 0), bool)
        for column in (users, items, moment):
            same &= np.diff(column[order]) == 0
        repeated += int(np.count_nonzero(same))
        conflicting += int(np.count_nonzero(same & (np.diff(click[order]) != 0)))
    when = "the same history" if times is None else "the same time"
    message = (
        f"{counted(repeated, 'impression repeats', 'impressions repeat')} another of the same "
        f"user, item and {when} ({conflicting} with the other label)"
    )
    return Guard("duplicate impressions", "warning" if repeated else "ok", message)
