"""How many impressions and clicks each user had strictly before, in one pass in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from ctrbench.impressions.database import scalar

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PART = 1 << 20  # rows held in memory at a time, and those of the moment that ends a part

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]  # user_id, timestamp, click; (n,) each


def make_earlier(connection: DuckDBPyConnection) -> None:
    """Make `earlier`, whose n-th row belongs to the n-th of `encoded`, which is in order of time.

    Its columns: prior_impressions and prior_clicks, where a tie is not before; the user's
    impressions; and where the user's clicks start among all clicks, one user after the other.
    """
    import pyarrow as pa

    users = 1 + scalar(connection, "SELECT max(user_id) FROM encoded")
    shown, clicked = np.zeros(users, np.int64), np.zeros(users, np.int64)
    reading = connection.cursor()
    for user, _, click in _read(reading):
        shown += np.bincount(user, minlength=users)
        clicked += np.bincount(user[click == 1], minlength=users)
    start = np.cumsum(clicked) - clicked
    connection.execute(
        "CREATE TABLE earlier (prior_impressions INTEGER, prior_clicks INTEGER, "
        "_user_impressions BIGINT, _user_start BIGINT)"
    )
    parts = whole_moments(_read(reading))
    for user, impressions, clicks in counted_before(parts, users):
        part = pa.table([impressions, clicks, shown[user], start[user]], names=["a", "b", "c", "d"])
        connection.register("part", part)
        connection.execute("INSERT INTO earlier FROM part")
        connection.unregister("part")


def counted_before(parts: Iterable[Rows], users: int) -> Iterator[Rows]:
    """Count, part by part.

    Args:
        parts: in order of time, no moment divided between two.
        users: ids are below it.

    Yields:
        For each part the user ids, and the impressions and clicks of that user strictly before.
    """
    shown, clicked = np.zeros(users, np.int64), np.zeros(users, np.int64)
    for user, moment, click in parts:
        place = np.arange(len(user))
        key = user.astype(np.int64) << 32 | place  # sorts by user, then in order of time
        key.sort()
        order = key & 0xFFFFFFFF
        owner, clicks = user[order], np.cumsum(click[order], dtype=np.int64) - click[order]
        is_first = np.diff(owner, prepend=-1) != 0  # of its user
        is_later = np.diff(moment[order], prepend=moment[order[0]]) != 0
        of_user = np.maximum.accumulate(np.where(is_first, place, 0))
        of_moment = np.maximum.accumulate(np.where(is_first | is_later, place, 0))
        impressions, before = np.empty_like(key), np.empty_like(key)
        impressions[order] = shown[owner] + of_moment - of_user
        before[order] = clicked[owner] + clicks[of_moment] - clicks[of_user]
        yield user, impressions, before
        shown += np.bincount(user, minlength=users)
        clicked += np.bincount(user[click == 1], minlength=users)


def whole_moments(parts: Iterable[Rows]) -> Iterator[Rows]:
    """The same rows, cut where the timestamp changes."""
    rest: Rows | None = None
    for part in parts:
        if rest is not None:
            part = tuple(np.concatenate(both) for both in zip(rest, part, strict=True))
        moment = part[1]
        end = int(np.searchsorted(moment, moment[-1]))
        if end:
            yield part[0][:end], moment[:end], part[2][:end]
        rest = part[0][end:], moment[end:], part[2][end:]
    if rest is not None:
        yield rest


def _read(connection: DuckDBPyConnection) -> Iterator[Rows]:
    rows = connection.sql("SELECT user_id, timestamp, click FROM encoded")
    for batch in rows.to_arrow_reader(PART):
        user, moment, click = (column.to_numpy() for column in batch.columns)
        yield user, moment, click
