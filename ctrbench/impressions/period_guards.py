"""Guards over periods: rows that stand in two of them, and labels that a metric needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ctrbench.errors import DataError
from ctrbench.impressions.periods import JUDGED, chunks
from ctrbench.schema import Guard, Impressions

FACTOR = np.uint64(
    0x9E3779B97F4A7C15
)  # odd, its bits without a pattern: 2^64 over the golden ratio
HALF = np.uint64(32)


@dataclass(frozen=True)
class Shared:
    """Rows of one period that stand in another one as well."""

    period: str
    other: str
    rows: int
    total: int  # rows of the period

    @property
    def whole(self) -> bool:
        """Whether a period that models are chosen or judged on lies wholly in the other one."""
        return self.rows == self.total

    def __str__(self) -> str:
        return f"{self.rows} of {self.total} rows of {self.period} stand in {self.other} as well"


def shared_rows(impressions: Impressions) -> Guard:
    """Do rows of `valid` or `test` stand in another period as well?"""
    name, shared = "rows in two periods", count_shared(impressions)
    if not shared:
        return Guard(name, "ok", "no row of valid or test stands in another period")
    told = f"{', '.join(map(str, shared))} ({_same(impressions)})"
    return Guard(name, "error" if any(one.whole for one in shared) else "warning", told)


def require_own_rows(impressions: Impressions) -> None:
    """Refuse a period that models would be chosen or judged on, and that is part of another one.

    Raises:
        DataError: All rows of `valid` or of `test` stand in another period.
    """
    whole = [str(one) for one in count_shared(impressions) if one.whole]
    if whole:
        raise DataError(
            f"{', '.join(whole)} ({_same(impressions)}): models would be chosen or judged on "
            "rows that they were trained or chosen on. Give each period rows of its own; without a "
            "file of valid rows take --valid-share 0.1 of train."
        )


def count_shared(impressions: Impressions) -> list[Shared]:
    """Compare `valid` and `test` with each other period; those that share no row are left out.

    Rows are compared where periods are given; other splits put each row into one period.
    """
    manifest = impressions.manifest
    if manifest.split.kind != "given":
        return []
    found = []
    for period in ("valid", "test"):
        own = np.concatenate([*_keys(impressions, period)])
        keys, counts = np.unique(own, return_counts=True)
        for other in (other for other in manifest.periods if other != period):
            there = np.zeros(len(keys), bool)
            for part in _keys(impressions, other):
                place = np.minimum(np.searchsorted(keys, part), len(keys) - 1)
                there[place[keys[place] == part]] = True
            rows = int(counts[there].sum())
            found += [Shared(period, other, rows, len(own))] if rows else []
    return found


def _same(impressions: Impressions) -> str:
    """What counts as the same row."""
    when = "history" if impressions.timestamp is None else "timestamp"
    return f"same user, item, click and {when}"


def _keys(impressions: Impressions, period: str) -> Iterator[np.ndarray]:
    """64 bits that stand for each row of a period, part by part."""
    times = impressions.timestamp
    moment = impressions.history_start if times is None else times
    columns = impressions.user_id, impressions.item_id, impressions.click, moment
    for part in chunks(impressions.rows(period)):
        key = np.zeros(part.stop - part.start, np.uint64)
        for column in columns:
            key = (key ^ column[part].astype(np.uint64)) * FACTOR
            key ^= key >> HALF
        yield key


def labels(impressions: Impressions) -> Guard:
    """Do `train`, `valid` and `test` each hold clicks and non-clicks?"""
    name, alone = "labels of periods", one_label(impressions)
    if not alone:
        return Guard(name, "ok", "train, valid and test each hold clicks and non-clicks")
    told = "; ".join(told for _, told in alone)
    told += ". Nothing can be learned from such a period, and no model ranked on it"
    return Guard(name, "warning" if [*dict(alone)] == ["valid"] else "error", told)


def one_label(impressions: Impressions) -> list[tuple[str, str]]:
    """The periods from `train` on that hold one label only, each with what is told of it."""
    found = []
    for period in JUDGED:
        rows = impressions.rows(period)
        clicks = sum(int(np.count_nonzero(impressions.click[part])) for part in chunks(rows))
        total = rows.stop - rows.start
        if clicks in (0, total):
            kind = "clicks" if clicks else "non-clicks"
            found.append((period, f"all {total} impressions of {period} are {kind}"))
    return found
