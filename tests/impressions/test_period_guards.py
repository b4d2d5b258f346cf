"""Rows in two periods, and periods with one label."""

import pytest

from ctrbench.errors import DataError
from ctrbench.impressions import check, names, open_impressions, period_guards, periods
from ctrbench.impressions.period_guards import count_shared
from ctrbench.workspace import Workspace
from tests.impressions.logs import build_log, long_log


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def guard(workspace, named):
    (found,) = [guard for guard in check(workspace, "log") if guard.name == named]
    return found


def given(train, valid, test):
    parts = {"train": train, "valid": valid, "test": test}
    return [r | {"period": period} for period, rows in parts.items() for r in rows]


ROWS = long_log()


@pytest.mark.parametrize("valid", [ROWS[40:], ROWS[:39:-1], ROWS[41:50]])
def test_valid_rows_from_test_are_refused_in_any_order(workspace, valid):
    message = f"{len(valid)} of {len(valid)} rows of valid also occur in test"
    with pytest.raises(DataError, match=message):
        build_log(workspace, given(ROWS[:40], valid, ROWS[40:]), "given")
    assert names(workspace) == []


def test_test_rows_from_train_are_refused(workspace):
    with pytest.raises(DataError, match="20 of 20 rows of test also occur in train"):
        build_log(workspace, given(ROWS[10:], ROWS[:10], ROWS[40:]), "given")


@pytest.mark.parametrize("period", ["train", "pretrain"])
@pytest.mark.parametrize("valid", [ROWS[5:15], ROWS[14:4:-1]])
def test_valid_rows_from_train_or_pretrain_are_refused(workspace, period, valid):
    parts = {"train": ROWS[20:40], period: ROWS[:20], "valid": valid, "test": ROWS[40:]}
    rows = [r | {"period": name} for name, own in parts.items() for r in own]
    message = f"10 of 10 rows of valid also occur in {period}"
    with pytest.raises(DataError, match=message):
        build_log(workspace, rows, "given")
    assert names(workspace) == []


def test_partly_shared_rows_are_counted_and_stored(workspace, monkeypatch):
    rows = given([*ROWS[:30], *ROWS[58:]], ROWS[25:45], ROWS[40:])
    manifest = build_log(workspace, rows, "given")
    found = guard(workspace, "rows in two periods")
    assert found.outcome == "warning"
    message = (
        "5 of 20 rows of valid also occur in train, 5 of 20 rows of valid also occur in test, "
        "2 of 20 rows of test also occur in train, 5 of 20 rows of test also occur in valid"
    )
    assert found.message.startswith(message)
    assert any(finding.startswith(message) for finding in manifest.findings)
    whole = count_shared(open_impressions(workspace, "log"))
    monkeypatch.setattr(periods, "CHUNK", 7)
    assert count_shared(open_impressions(workspace, "log")) == whole


@pytest.mark.parametrize("change", [{"click": 1}, {"timestamp": 99}, {"item_id": "50"}])
def test_rows_that_differ_in_one_column_are_distinct(workspace, change):
    changed = ROWS[0] | change
    build_log(workspace, given([*ROWS[:40]], ROWS[40:50], [*ROWS[50:], changed]), "given")
    assert guard(workspace, "rows in two periods").outcome == "ok"


def test_without_times_rows_are_identified_by_their_histories(workspace):
    rows = [
        {key: value for key, value in r.items() if key != "timestamp"} | {"history": [str(i)]}
        for i, r in enumerate(ROWS)
    ]
    build_log(workspace, given([*rows[:40], rows[55]], rows[40:50], rows[50:]), "given")
    found = guard(workspace, "rows in two periods").message
    assert found.startswith("1 of 10 rows of test also occur in train (same user, item, click ")
    assert "and history" in found


def test_a_test_period_without_clicks_is_an_error_and_stored(workspace):
    rows = [r | {"click": 0} if r["timestamp"] >= 48 else r for r in long_log(users=7)]
    manifest = build_log(workspace, rows)
    found = guard(workspace, "labels of periods")
    assert found.outcome == "error"
    assert "all 14 impressions of test are non-clicks" in found.message
    assert any("impressions of test are non-clicks" in finding for finding in manifest.findings)


def test_a_valid_period_of_clicks_alone_is_a_warning(workspace):
    rows = [r | {"click": 1} if 49 <= r["timestamp"] < 56 else r for r in long_log(users=7)]
    build_log(workspace, rows)
    assert guard(workspace, "labels of periods").outcome == "warning"
    assert period_guards.one_label(open_impressions(workspace, "log")) == [
        ("valid", "all 7 impressions of valid are clicks")
    ]
