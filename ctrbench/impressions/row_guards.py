"""Guards over single impressions: ids, order in time, histories, repetitions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrbench.impressions.periods import CHUNK, chunks, count_users, ranges
from ctrbench.impressions.states import train_blocks
from ctrbench.schema import Guard, Impressions

REAL_TIME = (
    "GAUC is biased where a model sees outcomes of the group it is judged on: import the log with "
    "--snapshot period, or with groups as fine as its states"
)
LATE = "impressions are not later than all of the periods before"


def ids(impressions: Impressions) -> Guard:
    """Are all ids, clicks and history ranges inside their tables?"""
    length = len(impressions.history_items)
    outside = 0
    for rows in chunks(slice(0, len(impressions.click))):
        users, items = impressions.user_id[rows], impressions.item_id[rows]
        start = impressions.history_start[rows]
        sound = (users > 0) & (users < impressions.user_rows)
        sound &= (items > 0) & (items < impressions.item_rows)
        sound &= np.isin(impressions.click[rows], (0, 1))
        sound &= (start >= 0) & (start + impressions.history_length[rows] <= length)
        outside += int(np.count_nonzero(~sound))
    if outside:
        return Guard("ids", "error", f"{outside} impressions point outside their tables")
    return Guard("ids", "ok", f"all {len(impressions.click)} impressions point into their tables")


def time_order(impressions: Impressions) -> Guard:
    """Does time run forward within each period?"""
    times = impressions.timestamp
    if times is None:
        return Guard("time order", "warning", "no timestamps: the order is the data set's own")
    backward = 0
    for period in impressions.manifest.periods:
        for part in chunks(impressions.rows(period)):
            stretch = times[max(part.start - 1, impressions.rows(period).start) : part.stop]
            backward += int(np.count_nonzero(np.diff(stretch) < 0))
    if backward:
        message = f"{backward} impressions are older than the one before"
        return Guard("time order", "error", message)
    return Guard("time order", "ok", "time runs forward within each period")


def overlap(impressions: Impressions) -> Guard:
    """Do periods follow each other: over all, or (split per user) for each user?"""
    times, name = impressions.timestamp, "overlap of periods"
    if times is None:
        return Guard(name, "warning", "no timestamps: nothing shows that test is the latest")
    late = _older_than_before(impressions, times)
    rows = sum(late.values())
    told = ", ".join(f"{count} of {period}" for period, count in late.items() if count)
    kind = impressions.manifest.split.kind
    if kind == "per_user":
        wrong = _older_per_user(impressions, times)
        if wrong:
            message = f"{wrong} users have a period that begins before the one before it ends"
            return Guard(name, "error", message)
        message = "each user's periods follow each other"
        if rows:
            message += f"; over all users {told} {LATE}: future popularity leaks"
        return Guard(name, "warning" if rows else "ok", message)
    if rows:
        return Guard(name, "error" if kind == "time" else "warning", f"{told} {LATE}")
    return Guard(name, "ok", "every period begins after those before it end")


def _older_than_before(impressions: Impressions, times: np.ndarray) -> dict[str, int]:
    """Impressions of each period not later than the last one of the periods before."""
    late, end = {}, None
    for period in impressions.manifest.periods:
        rows, latest = impressions.rows(period), []
        late[period] = 0
        for part in chunks(rows):
            block = times[part]
            latest.append(int(block.max()))
            late[period] += 0 if end is None else int(np.count_nonzero(block <= end))
        end = max([*latest] if end is None else [end, *latest])
    return late


def _older_per_user(impressions: Impressions, times: np.ndarray) -> int:
    """Users with a period that begins no later than their own period before it ends."""
    end = np.full(impressions.user_rows, np.iinfo(np.int64).min)
    wrong = np.zeros(impressions.user_rows, bool)
    for period in impressions.manifest.periods:
        latest = end.copy()
        for part in chunks(impressions.rows(period)):
            users, block = impressions.user_id[part], times[part]
            wrong[users[block <= end[users]]] = True
            np.maximum.at(latest, users, block)
        end = latest
    return int(np.count_nonzero(wrong))


def user_blocks(impressions: Impressions) -> Iterator[np.ndarray]:
    """Row numbers of whole users, about CHUNK rows at a time."""
    shown, _ = count_users(impressions, slice(0, len(impressions.click)))
    block_of_user = np.cumsum(shown) // CHUNK
    for block in np.unique(block_of_user):
        first, after = np.searchsorted(block_of_user, [block, block + 1])
        parts = [
            rows.start + np.flatnonzero((users >= first) & (users < after))
            for rows in chunks(slice(0, len(impressions.click)))
            for users in [impressions.user_id[rows]]
        ]
        yield np.concatenate(parts)


def strictly_before(impressions: Impressions) -> Guard:
    """Is a derived history the user's clicks strictly before the snapshot, and nothing else?"""
    name = "history strictly before"
    if impressions.manifest.history == "given":
        return _given_within_groups(impressions, name)
    times, wrong = impressions.timestamp, 0
    if times is None:
        return Guard(name, "error", "a derived history without timestamps")
    for rows in user_blocks(impressions):
        wrong += _wrong_histories(impressions, rows, times[rows])
    if wrong:
        message = f"{wrong} impressions do not see exactly the clicks before their snapshot"
        return Guard(name, "error", message)
    kind = impressions.manifest.snapshot
    if kind == "impression":
        return Guard(name, "warning", f"every history ends before its impression. {REAL_TIME}")
    message = f"every history ends before the first impression of its {kind}, ties left out"
    return Guard(name, "ok", message)


def _wrong_histories(impressions: Impressions, rows: np.ndarray, times: np.ndarray) -> int:
    """Count the rows of whole users whose history is not their clicks before, recounted here."""
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
    np.minimum.at(least, unit, before)  # what the first impression of the unit saw
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
    """(n,) whether a row of `train` has a user with more states there than `period` has blocks."""
    edges = impressions.manifest.periods
    train = (rows >= edges["train"][0]) & (rows < edges["train"][1])
    if impressions.manifest.snapshot != "period" or not train.any():
        return np.zeros(len(rows), bool)
    pairs = np.unique(np.stack([users[train], unit[train]]), axis=1)
    states = np.bincount(pairs[0], minlength=int(users.max()) + 1)
    return train & (states[users] > train_blocks(edges))


def _units(impressions: Impressions, rows: np.ndarray) -> np.ndarray:
    """(n,) int64 numbers of the snapshot units of some rows, from 0.

    By the snapshot `period` the units of `train` are its blocks, which the data
    set does not name; rows of one block share their prior count.
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
    """Do given histories hold clicks of their own evaluation group?"""
    held, shown = own_outcomes(impressions)
    if not held:
        message = f"the given histories of {shown} test impressions hold no own outcomes"
        if impressions.timestamp is None:
            message += "; their times cannot be verified"
        elif impressions.manifest.snapshot == "impression":
            message += f"; but click rates are as of each impression. {REAL_TIME}"
        else:
            return Guard(name, "ok", message)
        return Guard(name, "warning", message)
    message = (
        f"the given histories of {held} of {shown} test impressions hold items that their user "
        "clicked earlier in the same evaluation group. GAUC is biased where models see outcomes "
        "of the group they are judged on: cut histories at the start of each group, leave them out "
        "with --drop history, or choose finer groups by --snapshot"
    )
    return Guard(name, "warning", message)


def own_outcomes(impressions: Impressions) -> tuple[int, int]:
    """Count test impressions whose given history holds outcomes of their own evaluation group.

    An outcome is an item that the group clicked and that is not in the history of the group's
    first impression.

    Returns:
        Such impressions, and all of the test period.
    """
    test = impressions.rows("test")
    rows = np.arange(test.start, test.stop)
    _, group = np.unique(impressions.group_id[test], return_inverse=True)
    width = np.int64(impressions.item_rows)
    first = np.full(int(group.max()) + 1, len(rows))
    np.minimum.at(first, group, np.arange(len(rows)))  # rows of a period stand in order of time
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
    """Blocks of (place among the rows, group and item as one number) of the rows' history items."""
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
    """Is the same item shown to the same user at the same time more than once?"""
    times, repeated, conflicting = impressions.timestamp, 0, 0
    for rows in user_blocks(impressions):
        users, items = impressions.user_id[rows], impressions.item_id[rows]
        moment = impressions.history_start[rows] if times is None else times[rows]
        click = impressions.click[rows]
        order = np.lexsort((click, moment, items, users))
        same = np.ones(max(len(rows) - 1, 0), bool)
        for column in (users, items, moment):
            same &= np.diff(column[order]) == 0
        repeated += int(np.count_nonzero(same))
        conflicting += int(np.count_nonzero(same & (np.diff(click[order]) != 0)))
    when = "the same history" if times is None else "the same time"
    message = (
        f"{repeated} impressions repeat another of the same user, item and {when} "
        f"({conflicting} with the other label)"
    )
    return Guard("duplicate impressions", "warning" if repeated else "ok", message)
