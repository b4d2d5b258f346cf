"""The guard over given histories: do they hold clicks that come later?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields

import numpy as np

from ctrbench.impressions.periods import CHUNK, JUDGED, ranges
from ctrbench.impressions.row_guards import user_blocks
from ctrbench.schema import Guard, Impressions

NEVER = np.iinfo(np.int64).min
LOG = "the log"
# Above both bounds later clicks are an error. A user may know an item from before the log and click
# it again: that looks the same in many impressions, but fills no tenth of the histories.
MANY_IMPRESSIONS = 0.1
MANY_ENTRIES = 0.1
# As is this share of histories that end with a later click. The end is where a history that runs
# too far gives itself away. In an honest one it was clicked in the log before, or before the log;
# most users who click new items do not come to that very item first clicked again.
MANY_ENDS = 0.5
DOUBT = 3.0  # standard errors by which a share must be above its bound


@dataclass(frozen=True)
class GivenHistories:
    """Given histories beside the log's own clicks, in numbers."""

    shown: int  # impressions
    clicks: int
    later: int  # impressions whose history holds an item that the user first clicked then or later
    entries: int  # of all histories, each counted at the first impression that has it
    later_entries: int  # items first clicked after that impression
    able: int  # impressions with a history whose user first clicks some item then or later
    ends: int  # those among them whose history ends with such an item
    last: int  # impressions whose history ends with their own item
    last_clicks: int  # those among them that are their user's first click on it
    users: int  # with several impressions, not all of them with an empty history
    same: int  # those whose impressions all have the same history

    def __add__(self, other: GivenHistories) -> GivenHistories:
        both = zip(astuple(self), astuple(other), strict=True)
        return GivenHistories(*(one + more for one, more in both))

    @property
    def leak(self) -> bool:
        """Whether there are more later clicks than repeat clicks explain."""
        many = _above(self.later, self.shown, MANY_IMPRESSIONS)
        many &= _above(self.later_entries, self.entries, MANY_ENTRIES)
        many |= _above(self.ends, self.able, MANY_ENDS)
        return many or _above(self.last_clicks, self.clicks, MANY_ENDS)

    def __str__(self) -> str:
        return (
            f"the given histories of {_share(self.later, self.shown, 'impressions')} hold an "
            "item that their user first clicked then or later; "
            f"{100 * self.later_entries / max(self.entries, 1):.1f} % of all entries are such "
            f"items, and {_share(self.ends, self.able, 'histories')} of users who click new "
            f"items then or later end with one. {self.last} impressions end with their own item "
            f"({self.last_clicks} of them are their user's first click on it)"
        )


NONE = GivenHistories(*[0] * len(fields(GivenHistories)))


def later_clicks(impressions: Impressions) -> Guard:
    """Do given histories hold clicks that, by the log, come later?"""
    name = "later clicks in histories"
    if impressions.timestamp is None:
        return Guard(name, "ok", "no timestamps: the log cannot tell which clicks come later")
    counted = count_later(impressions, impressions.timestamp)
    found = counted[LOG]
    told = f"{found}, and {found.same} of {found.users} users have one history for all impressions"
    leaking = [part for part, of_part in counted.items() if of_part.leak]
    if not leaking:
        return Guard(name, "warning" if found.later else "ok", told)
    if LOG not in leaking:
        told += "".join(f". In {part} {counted[part]}" for part in leaking)
    told += ": models see outcomes that they are to predict. Cut histories before each "
    return Guard(name, "error", told + "impression, or leave them out with --drop history")


def _above(count: int, total: int, bound: float) -> bool:
    """Whether a share is above a bound beyond doubt."""
    return count > total * bound + DOUBT * (total * bound * (1 - bound)) ** 0.5


def _share(count: int, total: int, what: str) -> str:
    return f"{count} of {total} {what} ({100 * count / max(total, 1):.1f} %)"


def count_later(impressions: Impressions, times: np.ndarray) -> dict[str, GivenHistories]:
    """Compare given histories with the log's own clicks, in the whole log and in each period.

    Args:
        impressions: With given histories.
        times: (N,) int64.
    """
    parts = {LOG: slice(0, len(times))} | {name: impressions.rows(name) for name in JUDGED}
    found = dict.fromkeys(parts, NONE)
    for rows in user_blocks(impressions):
        known = _first_clicks(impressions, rows, times[rows])
        for name, part in parts.items():
            own = rows[(rows >= part.start) & (rows < part.stop)]
            if len(own):
                found[name] += _of_users(impressions, own, times[own], known)
    return found


@dataclass(frozen=True)
class _Clicks:
    """When users first clicked items."""

    width: np.int64  # items and the unknown one
    keys: np.ndarray  # (n,) int64 `user * width + item`, sorted
    moments: np.ndarray  # (n,) int64

    def first(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """(m,) int64 first clicks of pairs, NEVER where there is none."""
        if not len(self.keys):
            return np.full(len(users), NEVER)
        keys = users * self.width + items
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.moments[place], NEVER)

    def newest(self, users: np.ndarray) -> np.ndarray:
        """(m,) int64 the last moment at which each user clicks an item for the first time."""
        if not len(self.keys):
            return np.full(len(users), NEVER)
        clickers, begins = np.unique(self.keys // self.width, return_index=True)
        last = np.maximum.reduceat(self.moments, begins)
        place = np.minimum(np.searchsorted(clickers, users), len(clickers) - 1)
        return np.where(clickers[place] == users, last[place], NEVER)


def _of_users(
    impressions: Impressions, rows: np.ndarray, times: np.ndarray, known: _Clicks
) -> GivenHistories:
    """The numbers of some users, whose rows (of the log, or of a period) these are."""
    users, items = impressions.user_id[rows], impressions.item_id[rows]
    start, length = impressions.history_start[rows], impressions.history_length[rows]
    start = np.where(length > 0, start, -1)  # all empty histories are the same
    order = np.lexsort((start, users))
    new_user = np.diff(users[order], prepend=-1) != 0
    new_list = new_user | (np.diff(start[order], prepend=-2) != 0)
    firsts = np.flatnonzero(new_list)
    list_of = np.empty(len(rows), np.int64)
    list_of[order] = np.cumsum(new_list) - 1
    used = np.minimum.reduceat(times[order], firsts)  # the first impression that has the list
    latest, later = _latest_clicks(impressions, rows[order[firsts]], used, known)
    filled = length > 0
    shown = np.diff(np.flatnonzero(new_user), append=len(rows))
    lists = np.add.reduceat(new_list.astype(np.int64), np.flatnonzero(new_user))
    asked = shown > 1
    asked &= np.add.reduceat(filled[order].astype(np.int64), np.flatnonzero(new_user)) > 0
    last = impressions.history_items[(start + length - 1)[filled]]
    moment, now = known.first(users[filled], last), times[filled]
    own = last == items[filled]
    clicked = impressions.click[rows] == 1
    return GivenHistories(
        shown=len(rows),
        clicks=int(np.count_nonzero(clicked)),
        later=int(np.count_nonzero(latest[list_of] >= times)),
        entries=int(length[order[firsts]].sum()),
        later_entries=later,
        able=int(np.count_nonzero(known.newest(users[filled]) >= now)),
        ends=int(np.count_nonzero(moment >= now)),
        last=int(np.count_nonzero(own)),
        last_clicks=int(np.count_nonzero(own & clicked[filled] & (moment == now))),
        users=int(np.count_nonzero(asked)),
        same=int(np.count_nonzero(asked & (lists == 1))),
    )


def _latest_clicks(
    impressions: Impressions, chosen: np.ndarray, used: np.ndarray, known: _Clicks
) -> tuple[np.ndarray, int]:
    """For each list of history items the latest moment at which one of them was first clicked.

    Args:
        impressions: With given histories.
        chosen: (lists,) a row that has the list, users in order.
        used: (lists,) when the list was first used.
        known: Of these users.

    Returns:
        (lists,) int64, NEVER where no item is clicked in the log; and how many entries are items
        first clicked after their list was used.
    """
    latest, later = np.full(len(chosen), NEVER), 0
    length = impressions.history_length[chosen].astype(np.int64)
    for lists in _blocks(length):
        own, lengths = chosen[lists], length[lists]
        entries = impressions.history_items[ranges(impressions.history_start[own], lengths)]
        first = known.first(np.repeat(impressions.user_id[own], lengths), entries)
        latest[lists] = np.maximum.reduceat(first, np.cumsum(lengths) - lengths)
        later += int(np.count_nonzero(first > np.repeat(used[lists], lengths)))
    return latest, later


def _first_clicks(impressions: Impressions, rows: np.ndarray, times: np.ndarray) -> _Clicks:
    """Of some rows, at their times."""
    width = np.int64(impressions.item_rows)
    clicked = impressions.click[rows] == 1
    key = impressions.user_id[rows[clicked]] * width + impressions.item_id[rows[clicked]]
    order = np.lexsort((times[clicked], key))
    key = key[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    return _Clicks(width, key[first], times[clicked][order][first])


def _blocks(length: np.ndarray) -> Iterator[np.ndarray]:
    """Places of the lists that are not empty, about CHUNK entries at a time."""
    filled = np.flatnonzero(length)
    block = np.cumsum(length[filled]) // CHUNK
    yield from np.split(filled, np.flatnonzero(np.diff(block)) + 1) if len(filled) else ()
