"""Who and what stands in a period; counted in chunks, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrbench.schema import Impressions

CHUNK = 1 << 22  # rows held in memory at a time; a multiple of slots.COARSE


def chunks(rows: slice) -> Iterator[slice]:
    """The rows in pieces of at most CHUNK.

    >>> list(chunks(slice(0, 3)))
    [slice(0, 3, None)]
    """
    for start in range(rows.start, rows.stop, CHUNK):
        yield slice(start, min(start + CHUNK, rows.stop))


def count_users(impressions: Impressions, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Impressions and clicks among `rows` of each user: two (U + 1,) int64."""
    shown = np.zeros(impressions.user_rows, np.int64)
    clicked = np.zeros(impressions.user_rows, np.int64)
    for part in chunks(rows):
        users = impressions.user_id[part]
        shown += np.bincount(users, minlength=len(shown))
        clicked += np.bincount(users[impressions.click[part] == 1], minlength=len(shown))
    return shown, clicked


def count_targets(impressions: Impressions, rows: slice) -> np.ndarray:
    """(V,) int64: how often each item is the target among `rows`."""
    shown = np.zeros(impressions.item_rows, np.int64)
    for part in chunks(rows):
        shown += np.bincount(impressions.item_id[part], minlength=len(shown))
    return shown


def items_in_period(impressions: Impressions, period: str) -> np.ndarray:
    """(V,) bool: the items a period knows: its targets, and what its given histories hold.

    Derived histories add nothing: what they hold was a target, in its own period.
    """
    rows = impressions.rows(period)
    known = count_targets(impressions, rows) > 0
    if impressions.manifest.history == "given":
        edges = np.zeros(len(impressions.history_items) + 1, np.int64)
        for part in chunks(rows):  # +1 where a history begins, -1 where it ends
            start = impressions.history_start[part]
            np.add.at(edges, start, 1)
            np.add.at(edges, start + impressions.history_length[part], -1)
        used = np.cumsum(edges[:-1]) > 0
        known[impressions.history_items[used]] = True
    known[0] = False
    return known
