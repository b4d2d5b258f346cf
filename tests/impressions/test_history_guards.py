"""Given histories beside the log's own clicks, counted row by row as well."""

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


def slow_count(rows):
    """The same numbers, one impression after the other."""
    first, lists, later, last = {}, {}, 0, []
    for r in rows:
        if r["click"]:
            key = r["user_id"], r["item_id"]
            first[key] = min(first.get(key, r["timestamp"]), r["timestamp"])
    for r in rows:
        moments = [first.get((r["user_id"], item), -1) for item in r["history"]]
        later += any(moment >= r["timestamp"] for moment in moments)
        last += [r["click"]] * (r["history"][-1:] == [r["item_id"]])
        mine = lists.setdefault(r["user_id"], {}).setdefault(tuple(r["history"]), [])
        mine.append(r["timestamp"])
    used = [
        (first.get((user, item), -1), min(times))
        for user, own in lists.items()
        for history, times in own.items()
        for item in history
    ]
    several = [
        own for own in lists.values() if sum(map(len, own.values())) > 1 and any(map(len, own))
    ]
    return GivenHistories(
        later=later,
        entries=len(used),
        later_entries=sum(moment > begin for moment, begin in used),
        last=len(last),
        last_clicks=sum(last),
        users=len(several),
        same=sum(len(own) == 1 for own in several),
    )


def chance_log(seed):
    """Clicks, ties in time and histories at random; some users have one history."""
    rng, rows = np.random.default_rng(seed), []
    fixed = {user: list(map(str, rng.integers(0, 9, user))) for user in range(3)}
    for time in range(120):
        user, item = int(rng.integers(0, 8)), int(rng.integers(0, 9))
        history = fixed.get(user, list(map(str, rng.integers(0, 9, rng.integers(0, 5)))))
        rows.append(row(user, item, int(rng.random() < 0.3), time // 3, history=history))
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_counts_are_those_of_the_slow_way(workspace, monkeypatch, seed):
    rows = chance_log(seed)
    build_log(workspace, rows)
    log = open_impressions(workspace, "log")
    assert log.timestamp is not None
    expected = slow_count(rows)
    assert 0 < expected.later < len(rows)
    assert expected.same > 0 < expected.last_clicks
    assert count_later(log, log.timestamp) == expected
    for module in (history_guards, row_guards):
        monkeypatch.setattr(module, "CHUNK", 7)
    assert count_later(log, log.timestamp) == expected


def with_histories(rows, frozen):
    """Each row with its user's clicks before it; frozen: with all clicks of the user."""
    clicked, growing = {}, []
    for r in rows:
        mine = clicked.setdefault(r["user_id"], [])
        growing.append(r | {"history": list(mine)})
        mine += [r["item_id"]] * r["click"]
    return [r | {"history": clicked[r["user_id"]]} for r in rows] if frozen else growing


def test_histories_that_grow_hold_nothing_later(workspace):
    build_log(workspace, with_histories(long_log(length=12), frozen=False))
    assert guard(workspace, "later clicks in histories").outcome == "ok"
    assert open_impressions(workspace, "log").manifest.findings == ()


def test_one_history_for_all_rows_is_an_error_and_stored(workspace):
    manifest = build_log(workspace, with_histories(long_log(length=12), frozen=True))
    found = guard(workspace, "later clicks in histories")
    assert found.outcome == "error"
    assert "histories of 72 of 72 impressions (100.0 %)" in found.message
    assert "6 of 6 users have one history for all impressions" in found.message
    assert [told for told in manifest.findings if found.message[1:] in told]
    assert open_impressions(workspace, "log").manifest.findings == manifest.findings


def test_single_items_known_from_before_the_log_are_a_warning(workspace):
    rows = with_histories(long_log(length=12), frozen=False)
    rows = [r | {"history": [*map(str, range(90, 99)), "3", *r["history"]]} for r in rows]
    build_log(workspace, rows)  # each user clicks item 3 once more in the log
    found = guard(workspace, "later clicks in histories")
    assert found.outcome == "warning"
    assert not found.message.startswith("the given histories of 0 ")


def test_clicks_at_the_end_of_their_own_history_are_an_error(workspace):
    rows = [r | {"history": ["9", r["item_id"]]} for r in long_log()]
    build_log(workspace, rows)
    found = guard(workspace, "later clicks in histories")
    assert found.outcome == "error"
    assert "60 impressions (30 of them clicks) end with their own item" in found.message


def test_without_times_nothing_is_compared(workspace):
    names = ["train"] * 30 + ["valid"] * 15 + ["test"] * 15
    rows = [
        {"user_id": r["user_id"], "item_id": r["item_id"], "click": r["click"], "period": name}
        | {"history": ["x", str(i)]}
        for i, (r, name) in enumerate(zip(long_log(), names, strict=True))
    ]
    build_log(workspace, rows, "given")
    assert guard(workspace, "later clicks in histories").outcome == "ok"


def test_without_times_targets_in_their_histories_are_stored(workspace):
    names = ["train"] * 30 + ["valid"] * 15 + ["test"] * 15
    rows = [
        {"user_id": r["user_id"], "item_id": r["item_id"], "click": r["click"], "period": name}
        | {"history": [r["item_id"], str(90 + i)] if r["click"] else ["x", f"y{i}"]}
        for i, (r, name) in enumerate(zip(long_log(), names, strict=True))
    ]
    (told,) = build_log(workspace, rows, "given").findings
    assert told.startswith("30 of 60 impressions show an item of their own history (30 of 30")
