"""Guard: finds target items whose presence in their own history reveals the click."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrbench.arrays import in_threads
from ctrbench.impressions.periods import CHUNK, JUDGED, chunks, perhaps_among
from ctrbench.schema import Guard, Impressions

# An item's presence in its own history reveals the click if all three bounds are exceeded. In a
# correct log the rate is also higher among clicks, because items that a user clicked before are
# shown again and clicked more often.
SURE = 4.0  # standard errors between the rates of clicks and non-clicks
LARGE = 0.5  # the larger rate
MANY_TIMES = 5.0  # ratio of the odds


def own_target(impressions: Impressions) -> Guard:
    """Check whether the presence of an item in its own history reveals the click."""
    name, shown = "target in its own history", len(impressions.click)
    rows = _targets_in_history(impressions)
    whole = _by_label(impressions, rows, slice(0, shown))
    message = f"{len(rows)} of {shown} impressions show an item of their own history ({whole})"
    if impressions.manifest.history != "given":  # it is a repeated click
        return Guard(name, "ok", message)
    periods = {part: impressions.rows(part) for part in JUDGED}
    counted = {part: _by_label(impressions, rows, own) for part, own in periods.items()}
    leaking = [f"{of_part} in {part}" for part, of_part in counted.items() if of_part.reveals_click]
    if whole.reveals_click:
        return Guard(name, "error", f"{message}: the given histories reveal the click")
    if leaking:
        message += f", {', '.join(leaking)}: the given histories reveal the click there"
        return Guard(name, "error", message)
    return Guard(name, "warning" if len(rows) else "ok", message)


@dataclass(frozen=True)
class _ByLabel:
    """Numbers of impressions, by label, that show an item of their own history."""

    clicks: int
    all_clicks: int
    others: int
    all_others: int

    @property
    def reveals_click(self) -> bool:
        """Whether the rates of clicks and non-clicks differ more than repeated clicks explain."""
        if not self.all_clicks or not self.all_others:
            return False
        clicks, others = self.clicks / self.all_clicks, self.others / self.all_others
        both = (self.clicks + self.others) / (self.all_clicks + self.all_others)
        spread = both * (1 - both) * (1 / self.all_clicks + 1 / self.all_others)
        sure = abs(clicks - others) > SURE * spread**0.5
        return sure and max(clicks, others) > LARGE and self._odds_ratio > MANY_TIMES

    @property
    def _odds_ratio(self) -> float:
        """The larger odds ratio of the two labels, with one half added to every count."""
        clicks = (self.clicks + 0.5) / (self.all_clicks - self.clicks + 0.5)
        others = (self.others + 0.5) / (self.all_others - self.others + 0.5)
        return max(clicks / others, others / clicks)

    def __str__(self) -> str:
        return (
            f"{self.clicks} of {self.all_clicks} clicks, "
            f"{self.others} of {self.all_others} non-clicks"
        )


def _by_label(impressions: Impressions, rows: np.ndarray, part: slice) -> _ByLabel:
    """Return the counts by label of some rows within a part of the log."""
    shown = part.stop - part.start
    clicks = int(np.count_nonzero(impressions.click[part]))
    own = rows[(rows >= part.start) & (rows < part.stop)]
    clicked = int(np.count_nonzero(impressions.click[own]))
    return _ByLabel(clicked, clicks, len(own) - clicked, shown - clicks)


def _targets_in_history(impressions: Impressions) -> np.ndarray:
    """Return the row numbers of the impressions whose item is in their own history."""
    reach = []  # first and last start of a history among the rows of each chunk
    for part in chunks(slice(0, len(impressions.click)), impressions):
        start = impressions.history_start[part]
        reach.append((part, int(start.min()), int(start.max())))

    def hits(low: int) -> list[np.ndarray]:
        parts = [part for part, first, last in reach if first < low + CHUNK and last >= low]
        return _hits(impressions, low, parts)

    lows = range(0, len(impressions.history_items), CHUNK)
    found = [rows for several in in_threads(hits, lows) for rows in several]
    return np.concatenate([np.empty(0, np.int64), *found])


def _hits(impressions: Impressions, low: int, parts: list[slice]) -> list[np.ndarray]:
    """Return the rows whose item is in their history, if it starts in [low, low + CHUNK)."""
    width, high = impressions.item_rows, low
    is_start = np.zeros(CHUNK, bool)
    for part in parts:
        start, length = _starting(impressions, low, part)[1:]
        is_start[start - low] = True
        high = max(high, int((start + length).max(initial=low)))
    list_of = np.cumsum(is_start, dtype=np.int64)[: high - low]
    list_of = np.append(list_of, np.full(high - low - len(list_of), list_of[-1:].max(initial=0)))
    keys = list_of * width + impressions.history_items[low:high]
    found = []
    for part in parts:
        rows, start, length = _starting(impressions, low, part)
        wanted = list_of[start - low] * width + impressions.item_id[rows]
        place = perhaps_among(keys, wanted)
        key = keys[place]
        order = np.argsort(key, kind="stable")  # the first of equal keys is the earliest position
        key, place = np.append(key[order], -1), np.append(place[order], 0)
        at = np.searchsorted(key[:-1], wanted)
        found.append(rows[(key[at] == wanted) & (low + place[at] < start + length)])
    return found


def _starting(
    impressions: Impressions, low: int, part: slice
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, starts and lengths of the histories that start in [low, low + CHUNK)."""
    start, length = impressions.history_start[part], impressions.history_length[part]
    chosen = np.flatnonzero((start >= low) & (start < low + CHUNK) & (length > 0))
    return part.start + chosen, start[chosen], length[chosen]
