"""Given histories compared with the clicks of the log, and with a count row by row."""

from dataclasses import fields

import numpy as np
import pytest

from ctrbench.impressions import check, history_guards, open_impressions, row_guards
from ctrbench.impressions.history_guards import GivenHistories, count_later
from ctrbench.workspace import Workspace
from tests.impressions.logs import build_log, long_log, row


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def guard(workspace, named, log="log"):
    (found,) = [guard for guard in check(workspace, log) if guard.name == named]
    return found


def slow_count(rows, part):
    """Return the same counts for some rows, one impression at a time."""
    first, lists, found = {}, {}, dict.fromkeys((one.name for one in fields(GivenHistories)), 0)
    for r in rows:
        if r["click"]:
            key = r["user_id"], r["item_id"]
            first[key] = min(first.get(key, r["timestamp"]), r["timestamp"])
    for r in part:
        user, now, history = r["user_id"], r["timestamp"], r["history"]
        moments = [first.get((user, item), -1) for item in history]
        ends = history[-1:] == [r["item_id"]]
        to_come = [moment for (clicker, _), moment in first.items() if clicker == user]
        found["shown"] += 1
        found["clicks"] += r["click"]
        found["later"] += any(moment >= now for moment in moments)
        found["able"] += bool(history) and max(to_come, default=-1) >= now
        found["ends"] += bool(history) and moments[-1] >= now
        found["last"] += ends
        found["last_clicks"] += ends and r["click"] == 1 and moments[-1] == now
        lists.setdefault(user, {}).setdefault(tuple(history), []).append(now)
    for user, own in lists.items():
        for history, times in own.items():
            moments = [first.get((user, item), -1) for item in history]
            found["entries"] += len(history)
            found["later_entries"] += sum(moment > min(times) for moment in moments)
        several = sum(map(len, own.values())) > 1 and any(map(len, own))
        found["users"] += several
        found["same"] += several and len(own) == 1
    return GivenHistories(**found)


def chance_log(seed):
    """Return rows with random clicks, tied times and histories; some users have one history."""
    rng, rows = np.random.default_rng(seed), []
    fixed = {user: list(map(str, rng.integers(0, 9, user))) for user in range(3)}
    for time in range(120):
        user, item = int(rng.integers(0, 8)), int(rng.integers(0, 9))
        history = fixed.get(user, list(map(str, rng.integers(0, 9, rng.integers(0, 5)))))
        rows.append(row(user, item, int(rng.random() < 0.3), time // 3, history=history))
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_counts_equal_a_loop(workspace, monkeypatch, seed):
    rows = chance_log(seed)
    build_log(workspace, rows)
    log = open_impressions(workspace, "log")
    assert log.timestamp is not None
    rows = [rows[i] for i in np.argsort([r["timestamp"] for r in rows], kind="stable")]
    parts = {"the log": rows}
    for name in ("train", "valid", "test"):
        begin, end = log.timestamp[log.rows(name)][[0, -1]]
        parts[name] = [r for r in rows if begin <= r["timestamp"] <= end]
        assert len(parts[name]) == log.rows(name).stop - log.rows(name).start
    expected = {name: slow_count(rows, part) for name, part in parts.items()}
    assert 0 < expected["the log"].ends < expected["the log"].able
    assert expected["test"].later > 0 < expected["the log"].last_clicks
    assert count_later(log, log.timestamp) == expected
    monkeypatch.setattr(history_guards, "BLOCK", 7)
    monkeypatch.setattr(row_guards, "CHUNK", 7)
    assert count_later(log, log.timestamp) == expected


def with_histories(rows, frozen):
    """Return rows with the earlier clicks of their user; if frozen, with all its clicks."""
    clicked, growing = {}, []
    for r in rows:
        mine = clicked.setdefault(r["user_id"], [])
        growing.append(r | {"history": list(mine)})
        mine += [r["item_id"]] * r["click"]
    return [r | {"history": clicked[r["user_id"]]} for r in rows] if frozen else growing


def test_growing_histories_contain_no_later_clicks(workspace):
    build_log(workspace, with_histories(long_log(length=12), frozen=False))
    assert guard(workspace, "later clicks in histories").outcome == "ok"
    assert open_impressions(workspace, "log").manifest.findings == ()


def test_one_history_for_all_rows_is_an_error_and_stored(workspace):
    manifest = build_log(workspace, with_histories(long_log(length=12), frozen=True))
    found = guard(workspace, "later clicks in histories")
    assert found.outcome == "error"
    assert "histories of 72 of 72 impressions (100.0 %)" in found.message
    assert "6 of 6 users have one history for all impressions" in found.message
    assert [finding for finding in manifest.findings if found.message[1:] in finding]
    assert open_impressions(workspace, "log").manifest.findings == manifest.findings


def test_single_items_clicked_before_the_log_are_a_warning(workspace):
    rows = with_histories(long_log(length=12), frozen=False)
    rows = [r | {"history": [*map(str, range(90, 99)), "3", *r["history"]]} for r in rows]
    build_log(workspace, rows)  # each user clicks item 3 once more in the log
    found = guard(workspace, "later clicks in histories")
    assert found.outcome == "warning"
    assert not found.message.startswith("the given histories of 0 ")


def growing_log(users=60, length=40, items=40, seed=0):
    """Return users who click a fifth of their impressions, with histories of earlier clicks."""
    rng = np.random.default_rng(seed)
    return with_histories(
        [
            row(user, rng.integers(items), int(rng.random() < 0.2), users * step + user)
            for step in range(length)
            for user in range(users)
        ],
        frozen=False,
    )


def new_clicks(rows):
    """Return each user's first clicks on items as sorted (time, item)."""
    clicked = {}
    for r in rows:
        if r["click"]:
            clicked.setdefault(r["user_id"], {}).setdefault(r["item_id"], r["timestamp"])
    return {user: [(time, item) for item, time in own.items()] for user, own in clicked.items()}


def to_come(rows, r):
    return [item for time, item in new_clicks(rows)[r["user_id"]] if time >= r["timestamp"]]


def test_the_next_click_at_the_end_of_long_histories_is_an_error(workspace):
    long = [str(100 + i) for i in range(50)]  # clicks before the log, which dilute the entries
    rows = growing_log(users=30, length=20)
    leaking = [r | {"history": [*long, *r["history"], *to_come(rows, r)[:1]]} for r in rows]
    manifest = build_log(workspace, leaking)
    found = guard(workspace, "later clicks in histories")
    assert found.outcome == "error"
    log = open_impressions(workspace, "log")
    counted = count_later(log, log.timestamp)["the log"]
    assert counted.later_entries < 0.1 * counted.entries
    assert counted.ends == counted.able == sum(bool(to_come(rows, r)) for r in rows)
    assert [finding for finding in manifest.findings if found.message[1:] in finding]


def test_later_clicks_in_the_test_period_alone_are_an_error(workspace):
    rows = growing_log()
    late = 0.8 * len(rows)
    leaking = [
        r | {"history": r["history"] + (to_come(rows, r) if r["timestamp"] >= late else [])}
        for r in rows
    ]
    manifest = build_log(workspace, leaking, "time:30/40/10/20")
    found = guard(workspace, "later clicks in histories")
    log = open_impressions(workspace, "log")
    counted = count_later(log, log.timestamp)
    assert [name for name, part in counted.items() if part.leak] == ["test"]
    assert found.outcome == "error"
    assert f". In test the given histories of {counted['test'].later} of 480 imp" in found.message
    assert [finding for finding in manifest.findings if found.message[1:] in finding]


@pytest.mark.parametrize("frozen", [False, True])
def test_repeated_clicks_are_not_an_error(workspace, frozen):
    """Users clicked 40 of 80 items before the log; a third of all clicks is on one of them.

    Histories begin with these items, and grow or stay as they were before the log.
    """
    rng, rows = np.random.default_rng(5), []
    known = {user: rng.choice(80, 40, replace=False) for user in range(60)}
    for time in range(2400):
        user, repeat = time % 60, rng.random() < 0.15
        item = rng.choice(known[user]) if repeat else rng.integers(80, 200)
        rows.append(row(user, item, int(rng.random() < (0.4 if repeat else 0.15)), time))
    histories = [[] if frozen else r["history"] for r in with_histories(rows, frozen=False)]
    rows = [
        r | {"history": [*map(str, known[int(r["user_id"])]), *own]}
        for r, own in zip(rows, histories, strict=True)
    ]
    manifest = build_log(workspace, rows)
    found = guard(workspace, "later clicks in histories")
    assert found.outcome == "warning", found.message
    assert guard(workspace, "target in its own history").outcome == "warning"
    assert not [finding for finding in manifest.findings if "own history" in finding]


def test_clicks_at_the_end_of_their_own_history_are_an_error(workspace):
    rows = [r | {"history": ["9", r["item_id"]]} for r in long_log()]
    build_log(workspace, rows)
    found = guard(workspace, "later clicks in histories")
    assert found.outcome == "error"
    assert (
        "60 impressions end with their own item (30 of them are their user's first click on it)"
        in found.message
    )


def test_without_times_histories_are_not_compared(workspace):
    names = ["train"] * 30 + ["valid"] * 15 + ["test"] * 15
    rows = [
        {"user_id": r["user_id"], "item_id": r["item_id"], "click": r["click"], "period": name}
        | {"history": ["x", str(i)]}
        for i, (r, name) in enumerate(zip(long_log(), names, strict=True))
    ]
    build_log(workspace, rows, "given")
    assert guard(workspace, "later clicks in histories").outcome == "ok"


def test_without_times_targets_in_their_histories_are_findings(workspace):
    names = ["train"] * 30 + ["valid"] * 15 + ["test"] * 15
    rows = [
        {"user_id": r["user_id"], "item_id": r["item_id"], "click": r["click"], "period": name}
        | {"history": [r["item_id"], str(90 + i)] if r["click"] else ["x", f"y{i}"]}
        for i, (r, name) in enumerate(zip(long_log(), names, strict=True))
    ]
    (finding,) = build_log(workspace, rows, "given").findings
    assert guard(workspace, "target in its own history").outcome == "error"
    assert finding.startswith("30 of 60 impressions show an item of their own history (30 of 30")
