"""Tiny logs, built by the code under test and read in a slow and obvious way."""

from __future__ import annotations

import pyarrow as pa

from ctrbench.importing import Raw, build, database, make_table, parse_split
from ctrbench.impressions import open_impressions, raw_item_ids
from ctrbench.impressions.columns import strings
from ctrbench.schema import PERIODS


def build_log(workspace, rows, split="time:20/50/10/20", name="log", tables=None, **raw):
    """Build a data set from dicts (user_id, item_id, click, ...); `tables`: items and users."""
    views = {}
    with database(workspace) as connection:
        for view, records in {"impressions": rows, **(tables or {})}.items():
            connection.register("given", pa.Table.from_pylist(records))
            views[view] = make_table(connection, view, "FROM given")
        raw_log = Raw(
            views.pop("impressions"), "test", "click = 1", parse_split(split), **views, **raw
        )
        return build(workspace, name, raw_log)


def row(user, item, click, timestamp, **more):
    return {
        "user_id": str(user),
        "item_id": str(item),
        "click": click,
        "timestamp": timestamp,
        **more,
    }


def rows_of(workspace, name="log"):
    """Return all rows as (period, raw user, raw item, click, time, history, *prior counts)."""
    log = open_impressions(workspace, name)
    users = ["", *strings(workspace.data / name / "users.parquet", "raw_id")]
    items = ["", *raw_item_ids(workspace, name)]
    found = []
    for period in PERIODS:
        for i in range(log.rows(period).start, log.rows(period).stop):
            start, length = int(log.history_start[i]), int(log.history_length[i])
            history = tuple(items[item] for item in log.history_items[start : start + length])
            time = None if log.timestamp is None else int(log.timestamp[i])
            prior = log.prior_impressions, log.prior_clicks
            counts = tuple(None if column is None else int(column[i]) for column in prior)
            user, item, click = users[log.user_id[i]], items[log.item_id[i]], int(log.click[i])
            found.append((period, user, item, click, time, history, *counts))
    return found


def long_log(users=6, length=10, **more):
    """Return impressions of users in turn, one per second; each user clicks every second one."""
    return [
        row(user, (user + step) % 7, step % 2, users * step + user, **more)
        for step in range(length)
        for user in range(users)
    ]
