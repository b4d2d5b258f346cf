"""Guard: finds given histories that contain later clicks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields, replace

import numpy as np

from ctrbench.arrays import in_threads, release
from ctrbench.impressions.periods import JUDGED, history_end, perhaps_among, ranges
from ctrbench.impressions.row_guards import user_blocks
from ctrbench.schema import Guard, Impressions

BLOCK = 1 << 19  # entries of histories held in memory at a time
NEVER = np.iinfo(np.int64).min
LOG = "the log"
# Later clicks are an error if both shares are above their bound. A user who clicked an item before
# the log began may click it again. That affects many impressions, but few entries of histories.
MANY_IMPRESSIONS = 0.1
MANY_ENTRIES = 0.1
# This share of histories whose last item is a later click is an error, too. The last item of a
# correct history was clicked before the impression. It counts as a later click only if the user
# clicks it again, and few users repeat exactly that item before they click new ones.
MANY_ENDS = 0.5
DOUBT = 3.0  # standard errors by which a share must be above its bound


@dataclass(frozen=True)
class GivenHistories:
    """Counts that compare given histories with the clicks of the log."""

    shown: int  # impressions
    clicks: int
    later: int  # impressions whose history has an item first clicked at that time or later
    entries: int  # of all histories, each counted at its first impression
    later_entries: int  # items first clicked after that impression
    able: int  # impressions with a history whose user has a first click at that time or later
    ends: int  # of these: the history ends with such an item
    last: int  # impressions whose history ends with their own item
    last_clicks: int  # of these: the impression is the user's first click on it
    users: int  # users with several impressions and a history that is not empty
    same: int  # of these: all impressions have the same history

    def __add__(self, other: GivenHistories) -> GivenHistories:
        both = zip(astuple(self), astuple(other), strict=True)
        return GivenHistories(*(one + more for one, more in both))

    @property
    def leak(self) -> bool:
        """Whether there are more later clicks than repeated clicks explain."""
        many = _above(self.later, self.shown, MANY_IMPRESSIONS)
        many &= _above(self.later_entries, self.entries, MANY_ENTRIES)
        many |= _above(self.ends, self.able, MANY_ENDS)
        return many or _above(self.last_clicks, self.clicks, MANY_ENDS)

    def __str__(self) -> str:
        return (
            f"the given histories of {_share(self.later, self.shown, 'impressions')} contain an "
            "item that their user first clicked at that time or later; "
            f"{100 * self.later_entries / max(self.entries, 1):.1f} % of all entries are such "
            f"items, and {_share(self.ends, self.able, 'histories')} of users who click new "
            f"items at that time or later end with one. {self.last} impressions end with their own "
            f"item ({self.last_clicks} of them are their user's first click on it)"
        )


NONE = GivenHistories(*[0] * len(fields(GivenHistories)))


def later_clicks(impressions: Impressions) -> Guard:
    """Check whether given histories contain items that the user first clicks later in the log."""
    name = "later clicks in histories"
    if impressions.timestamp is None:
        return Guard(name, "ok", "without timestamps the order of the clicks is unknown")
    counted = count_later(impressions, impressions.timestamp)
    found = counted[LOG]
    message = (
        f"{found}, and {found.same} of {found.users} users have one history for all impressions"
    )
    leaking = [part for part, of_part in counted.items() if of_part.leak]
    if not leaking:
        return Guard(name, "warning" if found.later else "ok", message)
    if LOG not in leaking:
        message += "".join(f". In {part} {counted[part]}" for part in leaking)
    message += (
        ". The inputs of a model contain the outcomes that it predicts. Cut histories before each "
        "impression, or remove them with --drop history"
    )
    return Guard(name, "error", message)


def _above(count: int, total: int, bound: float) -> bool:
    """Return whether a share is above a bound by more than `DOUBT` standard errors."""
    return count > total * bound + DOUBT * (total * bound * (1 - bound)) ** 0.5


def _share(count: int, total: int, what: str) -> str:
    return f"{count} of {total} {what} ({100 * count / max(total, 1):.1f} %)"


def count_later(impressions: Impressions, times: np.ndarray) -> dict[str, GivenHistories]:
    """Compare given histories with the clicks of the log, for the whole log and by period.

    Args:
        impressions: A log with given histories.
        times: (N,) int64 timestamps.
    """
    parts = {LOG: slice(0, len(times))} | {name: impressions.rows(name) for name in JUDGED}
    found = dict.fromkeys(parts, NONE)
    for block in user_blocks(impressions):
        rows = block[np.lexsort((history_end(impressions, block), impressions.user_id[block]))]
        known = _first_clicks(impressions, block, times[block])
        log = _compared(impressions, rows, times[rows], known)
        for name, part in parts.items():
            own = (rows >= part.start) & (rows < part.stop)
            if own.any():
                found[name] += _count(impressions, log.of(own), known)
    return found


@dataclass(frozen=True)
class _Clicks:
    """The time of each user's first click on each item."""

    width: np.int64  # items and the unknown one
    keys: np.ndarray  # (n,) int64 `user * width + item`, sorted
    moments: np.ndarray  # (n,) int64

    def first(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the clicks among (m,) keys: (k,) indices of keys, ascending; (k,) times."""
        if not len(self.keys):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        at = perhaps_among(keys, self.keys)
        place = np.minimum(np.searchsorted(self.keys, keys[at]), len(self.keys) - 1)
        same = self.keys[place] == keys[at]
        return at[same], self.moments[place[same]]

    def newest(self, users: np.ndarray) -> np.ndarray:
        """Return (m,) int64 times at which each user last clicks an item for the first time."""
        if not len(self.keys):
            return np.full(len(users), NEVER)
        clickers, begins = np.unique(self.keys // self.width, return_index=True)
        last = np.maximum.reduceat(self.moments, begins)
        place = np.minimum(np.searchsorted(clickers, users), len(clickers) - 1)
        return np.where(clickers[place] == users, last[place], NEVER)


@dataclass(frozen=True)
class _Compared:
    """Rows of complete users, sorted by user and history, and the first clicks on their items."""

    rows: np.ndarray  # (n,) int64
    times: np.ndarray  # (n,) int64
    of_list: np.ndarray  # (n,) int64, ascending: index of the row's user and history
    newest: np.ndarray  # (n,) int64, the last first click of the user
    last: np.ndarray  # (n,) int64, the user's first click on the last item of the history
    own: np.ndarray  # (n,) bool, whether that item is the row's own
    used: np.ndarray  # (lists,) int64, time of the first row with the list
    latest: np.ndarray  # (lists,) int64, latest first click on an item of the list
    later: np.ndarray  # (lists,) int64, entries whose item was first clicked after `used`

    def of(self, chosen: np.ndarray) -> _Compared:
        """Return some of the rows, as (n,) bool; lists are those of all rows."""
        return replace(
            self,
            rows=self.rows[chosen],
            times=self.times[chosen],
            of_list=self.of_list[chosen],
            newest=self.newest[chosen],
            last=self.last[chosen],
            own=self.own[chosen],
        )


def _compared(
    impressions: Impressions, rows: np.ndarray, times: np.ndarray, known: _Clicks
) -> _Compared:
    """Compare the histories of rows, sorted by user and history, with the clicks of the users."""
    users, length = impressions.user_id[rows], impressions.history_length[rows]
    new_list = np.diff(users, prepend=-1) != 0
    new_list |= np.diff(history_end(impressions, rows), prepend=-1) != 0
    firsts = np.flatnonzero(new_list)
    used = np.minimum.reduceat(times, firsts)
    latest, later = _latest_clicks(impressions, rows[firsts], used, known)
    filled = np.flatnonzero(length > 0)
    ends = impressions.history_items[history_end(impressions, rows[filled]) - 1]
    own, last = np.zeros(len(rows), bool), np.full(len(rows), NEVER)
    own[filled] = ends == impressions.item_id[rows[filled]]
    at, moments = known.first(users[filled] * known.width + ends)
    last[filled[at]] = moments
    newest = np.where(length > 0, known.newest(users), NEVER)
    of_list = np.cumsum(new_list) - 1
    return _Compared(rows, times, of_list, newest, last, own, used, latest, later)


def _count(impressions: Impressions, log: _Compared, known: _Clicks) -> GivenHistories:
    """Return the counts of some users, from their rows of the log or of a period."""
    users, length = impressions.user_id[log.rows], impressions.history_length[log.rows]
    new_list = np.diff(log.of_list, prepend=-1) != 0
    new_user = np.diff(users, prepend=-1) != 0
    firsts, of_user = np.flatnonzero(new_list), np.flatnonzero(new_user)
    lists, used = log.of_list[firsts], np.minimum.reduceat(log.times, firsts)
    later = log.later[lists]
    moved = used != log.used[lists]  # the list was used before these rows
    _, later[moved] = _latest_clicks(impressions, log.rows[firsts[moved]], used[moved], known)
    several = np.diff(of_user, append=len(users)) > 1
    several &= np.add.reduceat((length > 0).astype(np.int64), of_user) > 0
    different = np.add.reduceat(new_list.astype(np.int64), of_user)
    clicked = impressions.click[log.rows] == 1
    return GivenHistories(
        shown=len(users),
        clicks=int(np.count_nonzero(clicked)),
        later=int(np.count_nonzero(log.latest[log.of_list] >= log.times)),
        entries=int(length[firsts].sum()),
        later_entries=int(later.sum()),
        able=int(np.count_nonzero(log.newest >= log.times)),
        ends=int(np.count_nonzero(log.last >= log.times)),
        last=int(np.count_nonzero(log.own)),
        last_clicks=int(np.count_nonzero(log.own & clicked & (log.last == log.times))),
        users=int(np.count_nonzero(several)),
        same=int(np.count_nonzero(several & (different == 1))),
    )


def _latest_clicks(
    impressions: Impressions, chosen: np.ndarray, used: np.ndarray, known: _Clicks
) -> tuple[np.ndarray, np.ndarray]:
    """Return the latest first click on an item of each list of history items.

    Args:
        impressions: A log with given histories.
        chosen: (lists,) int64, a row with the list.
        used: (lists,) int64, the time of the list's first impression.
        known: The first clicks of these users.

    Returns:
        (lists,) int64 times, NEVER if no item of the list is clicked in the log; and (lists,) int64
        numbers of entries whose item was first clicked after the first use of their list.
    """
    latest, later = np.full(len(chosen), NEVER), np.zeros(len(chosen), np.int64)
    length = impressions.history_length[chosen].astype(np.int64)

    def clicked(lists: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the list and the time of each entry that is clicked in the log."""
        release(impressions.history_items)
        own, lengths = chosen[lists], length[lists]
        keys = np.repeat(impressions.user_id[own] * known.width, lengths)
        keys += impressions.history_items[ranges(impressions.history_start[own], lengths)]
        at, first = known.first(keys)
        return lists[np.searchsorted(np.cumsum(lengths), at, side="right")], first

    for of_entry, first in in_threads(clicked, _blocks(impressions.history_start[chosen], length)):
        if len(first):
            begins = np.flatnonzero(np.diff(of_entry, prepend=-1))
            latest[of_entry[begins]] = np.maximum.reduceat(first, begins)
            later += np.bincount(of_entry[first > used[of_entry]], minlength=len(later))
    return latest, later


def _first_clicks(impressions: Impressions, rows: np.ndarray, times: np.ndarray) -> _Clicks:
    """Return the first clicks among some rows."""
    width = np.int64(impressions.item_rows)
    clicked = impressions.click[rows] == 1
    key = impressions.user_id[rows[clicked]] * width + impressions.item_id[rows[clicked]]
    order = np.lexsort((times[clicked], key))
    key = key[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    return _Clicks(width, key[first], times[clicked][order][first])


def _blocks(start: np.ndarray, length: np.ndarray) -> Iterator[np.ndarray]:
    """Yield indices of the lists that are not empty, by start, about BLOCK entries at a time."""
    filled = np.flatnonzero(length)
    filled = filled[np.argsort(start[filled])]
    block = np.cumsum(length[filled]) // BLOCK
    yield from np.split(filled, np.flatnonzero(np.diff(block)) + 1) if len(filled) else ()
