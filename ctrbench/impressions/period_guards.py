"""Guards of periods: rows that two periods share, and periods with one label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ctrbench.errors import DataError
from ctrbench.impressions.periods import FACTOR, JUDGED, chunks, history_end
from ctrbench.schema import Guard, Impressions

HALF = np.uint64(32)


@dataclass(frozen=True)
class Shared:
    """The rows of one period that also occur in another one."""

    period: str
    other: str
    rows: int
    total: int  # rows of the period

    @property
    def whole(self) -> bool:
        """Whether all rows of the period occur in the other one."""
        return self.rows == self.total

    def __str__(self) -> str:
        return f"{self.rows} of {self.total} rows of {self.period} also occur in {self.other}"


def shared_rows(impressions: Impressions) -> Guard:
    """Check whether rows of `valid` or `test` also occur in another period."""
    name, shared = "rows in two periods", count_shared(impressions)
    if not shared:
        return Guard(name, "ok", "no row of valid or test occurs in another period")
    message = f"{', '.join(map(str, shared))} ({_same(impressions)})"
    return Guard(name, "error" if any(one.whole for one in shared) else "warning", message)


def require_own_rows(impressions: Impressions) -> None:
    """Raise an error if all rows of `valid` or `test` also occur in another period.

    Raises:
        DataError: All rows of `valid` or of `test` also occur in another period.
    """
    whole = [str(one) for one in count_shared(impressions) if one.whole]
    if whole:
        raise DataError(
            f"{', '.join(whole)} ({_same(impressions)}): models would be selected or evaluated "
            "on rows that they were trained or selected on. Give each period its own rows; without "
            "a file of valid rows, use --valid-share 0.1."
        )


def count_shared(impressions: Impressions) -> list[Shared]:
    """Return the pairs of `valid` or `test` and another period that share rows.

    Rows are compared only if periods are given; other splits put each row into one period.
    """
    manifest = impressions.manifest
    if manifest.split.kind != "given":
        return []
    found = []
    for period in ("valid", "test"):
        total = len(range(*manifest.periods[period]))
        for other in (other for other in manifest.periods if other != period):
            rows = sum(_there(impressions, own, other) for own in _keys(impressions, period))
            found += [Shared(period, other, rows, total)] if rows else []
    return found


def _there(impressions: Impressions, own: np.ndarray, other: str) -> int:
    """Return how many of the (n,) keys of rows also occur in another period."""
    keys, counts = np.unique(own, return_counts=True)
    there = np.zeros(len(keys), bool)
    for part in _keys(impressions, other):
        place = np.minimum(np.searchsorted(keys, part), len(keys) - 1)
        there[place[keys[place] == part]] = True
    return int(counts[there].sum())


def _same(impressions: Impressions) -> str:
    """Return the definition of equal rows, for messages."""
    when = "history" if impressions.timestamp is None else "timestamp"
    return f"same user, item, click and {when}"


def _keys(impressions: Impressions, period: str) -> Iterator[np.ndarray]:
    """Yield a uint64 hash of each row of a period, in chunks."""
    times = impressions.timestamp
    columns = impressions.user_id, impressions.item_id, impressions.click
    for part in chunks(impressions.rows(period), impressions):
        key = np.zeros(part.stop - part.start, np.uint64)
        moment = history_end(impressions, part) if times is None else times[part]
        for column in (*(column[part] for column in columns), moment):
            key = (key ^ column.astype(np.uint64)) * FACTOR
            key ^= key >> HALF
        yield key


def labels(impressions: Impressions) -> Guard:
    """Check that `train`, `valid` and `test` each have clicks and non-clicks."""
    name, alone = "labels of periods", one_label(impressions)
    if not alone:
        return Guard(name, "ok", "train, valid and test each have clicks and non-clicks")
    message = "; ".join(sentence for _, sentence in alone)
    message += ". A model cannot be trained or evaluated on such a period"
    return Guard(name, "warning" if [*dict(alone)] == ["valid"] else "error", message)


def one_label(impressions: Impressions) -> list[tuple[str, str]]:
    """Return the periods from `train` on that have one label only, each with a message."""
    found = []
    for period in JUDGED:
        rows = impressions.rows(period)
        clicks = sum(
            int(np.count_nonzero(impressions.click[part])) for part in chunks(rows, impressions)
        )
        total = rows.stop - rows.start
        if clicks in (0, total):
            kind = "clicks" if clicks else "non-clicks"
            found.append((period, f"all {total} impressions of {period} are {kind}"))
    return found
