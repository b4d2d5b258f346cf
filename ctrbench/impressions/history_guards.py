"""The guard over given histories: do they hold clicks that come later?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass

import numpy as np

from ctrbench.impressions.periods import CHUNK, ranges
from ctrbench.impressions.row_guards import user_blocks
from ctrbench.schema import Guard, Impressions

NEVER = np.iinfo(np.int64).min
# Above both bounds later clicks are an error. A user may know an item from before the log and click
# it again: that looks the same in many impressions, but fills no tenth of the histories.
MANY_IMPRESSIONS = 0.1
MANY_ENTRIES = 0.1


@dataclass(frozen=True)
class GivenHistories:
    """Given histories beside the log's own clicks, in numbers."""

    later: int  # impressions whose history holds an item that the user first clicked then or later
    entries: int  # of all histories, each counted at the first impression that has it
    later_entries: int  # items first clicked after that impression
    last: int  # impressions whose history ends with their own item
    last_clicks: int  # those among them that are clicks
    users: int  # with several impressions, not all of them with an empty history
    same: int  # those whose impressions all have the same history

    def __add__(self, other: GivenHistories) -> GivenHistories:
        both = zip(astuple(self), astuple(other), strict=True)
        return GivenHistories(*(one + more for one, more in both))


def later_clicks(impressions: Impressions) -> Guard:
    """Do given histories hold clicks that, by the log, come later?"""
    name, shown = "later clicks in histories", len(impressions.click)
    if impressions.timestamp is None:
        return Guard(name, "ok", "no timestamps: the log cannot tell which clicks come later")
    found = count_later(impressions, impressions.timestamp)
    clicks = max(int(np.count_nonzero(impressions.click)), 1)
    told = (
        f"the given histories of {found.later} of {shown} impressions "
        f"({100 * found.later / shown:.1f} %) hold an item that their user first clicked then or "
        f"later; {100 * found.later_entries / max(found.entries, 1):.1f} % of all entries are such "
        f"items. {found.last} impressions ({found.last_clicks} of them clicks) end with their own "
        f"item, and {found.same} of {found.users} users have one history for all impressions"
    )
    many = found.later > MANY_IMPRESSIONS * shown
    many &= found.later_entries > MANY_ENTRIES * found.entries
    if many or found.last_clicks > clicks / 2:
        told += ": models see outcomes that they are to predict. Cut histories before each "
        return Guard(name, "error", told + "impression, or leave them out with --drop history")
    return Guard(name, "warning" if found.later else "ok", told)


def count_later(impressions: Impressions, times: np.ndarray) -> GivenHistories:
    """Compare given histories with the log's own clicks.

    Args:
        impressions: With given histories.
        times: (N,) int64.
    """
    found = GivenHistories(*[0] * 7)
    for rows in user_blocks(impressions):
        found += _of_users(impressions, rows, times[rows])
    return found


def _of_users(impressions: Impressions, rows: np.ndarray, times: np.ndarray) -> GivenHistories:
    """The numbers of some whole users, whose rows these are."""
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
    latest, later = _latest_clicks(impressions, rows, times, order[firsts], used)
    filled = length > 0
    own = np.zeros(len(rows), bool)
    own[filled] = impressions.history_items[(start + length - 1)[filled]] == items[filled]
    shown = np.diff(np.flatnonzero(new_user), append=len(rows))
    lists = np.add.reduceat(new_list.astype(np.int64), np.flatnonzero(new_user))
    asked = shown > 1
    asked &= np.add.reduceat(filled[order].astype(np.int64), np.flatnonzero(new_user)) > 0
    return GivenHistories(
        later=int(np.count_nonzero(latest[list_of] >= times)),
        entries=int(length[order[firsts]].sum()),
        later_entries=later,
        last=int(np.count_nonzero(own)),
        last_clicks=int(np.count_nonzero(own & (impressions.click[rows] == 1))),
        users=int(np.count_nonzero(asked)),
        same=int(np.count_nonzero(asked & (lists == 1))),
    )


def _latest_clicks(
    impressions: Impressions,
    rows: np.ndarray,
    times: np.ndarray,
    chosen: np.ndarray,
    used: np.ndarray,
) -> tuple[np.ndarray, int]:
    """For each list of history items the latest moment at which one of them was first clicked.

    Args:
        impressions: With given histories.
        rows: (n,) of whole users.
        times: (n,) of the rows.
        chosen: (lists,) place of a row that has the list, users in order.
        used: (lists,) when the list was first used.

    Returns:
        (lists,) int64, NEVER where no item is clicked in the log; and how many entries are items
        first clicked after their list was used.
    """
    width = np.int64(impressions.item_rows)
    keys, moments = _first_clicks(impressions, rows, times)
    latest, later = np.full(len(chosen), NEVER), 0
    length = impressions.history_length[rows[chosen]].astype(np.int64)
    for lists in _blocks(length) if len(keys) else ():
        own = rows[chosen[lists]]
        entries = impressions.history_items[ranges(impressions.history_start[own], length[lists])]
        key = np.repeat(impressions.user_id[own] * width, length[lists]) + entries
        place = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        first = np.where(keys[place] == key, moments[place], NEVER)
        begins = np.cumsum(length[lists]) - length[lists]
        latest[lists] = np.maximum.reduceat(first, begins)
        later += int(np.count_nonzero(first > np.repeat(used[lists], length[lists])))
    return latest, later


def _first_clicks(
    impressions: Impressions, rows: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Clicked pairs `user * V + item` of some rows, sorted, and when each was first clicked."""
    clicked = impressions.click[rows] == 1
    users, items = impressions.user_id[rows[clicked]], impressions.item_id[rows[clicked]]
    key = users * np.int64(impressions.item_rows) + items
    order = np.lexsort((times[clicked], key))
    key = key[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    return key[first], times[clicked][order][first]


def _blocks(length: np.ndarray) -> Iterator[np.ndarray]:
    """Places of the lists that are not empty, about CHUNK entries at a time."""
    filled = np.flatnonzero(length)
    block = np.cumsum(length[filled]) // CHUNK
    yield from np.split(filled, np.flatnonzero(np.diff(block)) + 1) if len(filled) else ()
