"""Each guard on a correct log, and on one with the fault that it detects."""

import numpy as np
import pytest

from ctrbench.importing import Snapshot
from ctrbench.impressions import check, open_impressions, periods, row_guards, target_guards
from ctrbench.schema import Field
from ctrbench.workspace import Workspace
from tests.impressions.logs import build_log, long_log, row


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def guards(workspace):
    return {(guard.name, guard.outcome): guard.message for guard in check(workspace, "log")}


def damage(workspace, column, index, value):
    """Change one number of the memory maps that `check` reads."""
    manifest = open_impressions(workspace, "log").manifest
    path = workspace.cache / "data" / manifest.content_hash / f"{column}.npy"
    array = np.load(path)
    array[index] = value
    np.save(path, array)


def test_a_sound_log_has_no_error(workspace):
    build_log(workspace, long_log())
    found = check(workspace, "log")
    assert [(g.name, g.outcome) for g in found if g.outcome != "ok"] == [
        ("labels of periods", "warning"),  # of valid: one impression each
        ("one-class users", "warning"),
        ("evaluable users", "warning"),
        ("evaluable users", "warning"),
    ]
    assert len(found) == 21


def test_results_do_not_depend_on_the_chunk_size(workspace, monkeypatch):
    build_log(workspace, long_log())
    whole = check(workspace, "log")
    monkeypatch.setattr(periods, "CHUNK", 7)
    for module in (row_guards, target_guards):
        monkeypatch.setattr(module, "CHUNK", 5)
    assert check(workspace, "log") == whole


@pytest.mark.parametrize(
    ("column", "index", "value", "name", "message"),
    [
        ("impressions.item_id", 3, 99, "ids", "1 impression points outside"),
        ("impressions.user_id", 3, 0, "ids", "1 impression points outside"),
        ("impressions.click", 3, 2, "ids", "1 impression points outside"),
        ("impressions.history_start", 59, 30, "ids", "1 impression points outside"),
        ("impressions.timestamp", 20, 99, "time order", "1 impression is older"),
        ("impressions.timestamp", 11, 99, "overlap of periods", "30 of train, 6 of valid, 12 of"),
        ("impressions.history_length", 41, 0, "history strictly before", "of 1 impression are"),
        ("impressions.history_start", 31, 0, "history strictly before", "of 1 impression are"),
        ("history.item_id", 7, 1, "history strictly before", "of 1 impression are"),
        ("impressions.history_length", 59, 5, "history strictly before", "of 1 impression are"),
        ("impressions.click", 3, 1, "content", "damaged"),
    ],
)
def test_damage_is_found(workspace, column, index, value, name, message):
    build_log(workspace, long_log())
    damage(workspace, column, index, value)
    assert message in guards(workspace)[name, "error"]


def test_periods_that_overlap(workspace):
    names = ["pretrain", "train", "valid", "test"]
    rows = [r | {"period": names[i % 4]} for i, r in enumerate(long_log())]
    build_log(workspace, rows, "given")
    assert guards(workspace)["overlap of periods", "warning"].startswith(
        "14 of train, 14 of valid, 14 of test impressions are not later"
    )


def test_per_user_periods_overlap_over_all_users_only(workspace):
    rows = [r | {"timestamp": r["timestamp"] + 20 * int(r["user_id"])} for r in long_log()]
    build_log(workspace, rows, "per_user:20/50/10/20")
    assert (
        "each user's periods follow each other; across users"
        in (guards(workspace)["overlap of periods", "warning"])
    )
    damage(workspace, "impressions.timestamp", 0, 5000)
    assert "1 user has a period that begins" in guards(workspace)["overlap of periods", "error"]


def test_the_target_in_a_given_history(workspace):
    rows = [r | {"history": ["x", r["item_id"]][: 1 + r["click"]]} for r in long_log()]
    build_log(workspace, rows)
    assert guards(workspace)["target in its own history", "error"].startswith(
        "30 of 60 impressions show an item of their own history (30 of 30 clicks, 0 of 30 non-"
    )
    assert ("history strictly before", "warning") in guards(workspace)


def test_a_repeated_click_in_its_own_history_is_not_an_error(workspace):
    again = [row(7, 3, 1, t) for t in range(3)]  # the second and the third
    build_log(workspace, long_log() + again)
    assert guards(workspace)["target in its own history", "ok"].startswith(
        "8 of 63 impressions show an item of their own history (2 of 33 clicks,"
    )


def test_ids_without_items(workspace):
    build_log(workspace, long_log(), tables={"items": [{"item_id": "1"}, {"item_id": "9"}]})
    assert guards(workspace)["ids without items", "warning"].startswith("6 of 8 items")


def test_duplicates_and_their_labels(workspace):
    rows = long_log()
    build_log(workspace, [*rows, rows[0], rows[5] | {"click": 1}])
    assert guards(workspace)["duplicate impressions", "warning"] == (
        "2 impressions repeat another of the same user, item and the same time "
        "(1 with the other label)"
    )


def test_users_of_one_class(workspace):
    rows = long_log()
    rows = [r | {"click": 0} if r["timestamp"] >= 48 and r["user_id"] > "1" else r for r in rows]
    build_log(workspace, rows)
    found = guards(workspace)
    assert found["one-class users", "warning"].startswith("4 of 6 test users have one")
    assert found["evaluable users", "warning"].startswith("2 test users have both")


def test_no_evaluable_user_is_an_error(workspace):
    build_log(workspace, [r | {"click": 0} if r["timestamp"] >= 48 else r for r in long_log()])
    assert guards(workspace)["evaluable users", "error"].startswith("0 test users")


def test_unseen_users_and_items(workspace):
    late = [row(8, 50 + i, i % 2, 1000 + i) for i in range(15)]
    build_log(workspace, long_log() + late)
    found = guards(workspace)
    assert found["unseen users", "warning"].startswith(
        "test: 1 of 1 users are not in train (100.0 %"
    )
    assert found["unseen items", "warning"].startswith("test: 15 of 15 items are not in train")


def test_values_unseen_in_train(workspace):
    late = [row(1, i % 7, i % 2, 1000 + i, hour="late" if i % 5 else "") for i in range(15)]
    rows = [r | {"hour": "" if int(r["user_id"]) == 3 else "early"} for r in long_log()]
    build_log(
        workspace, rows + late, fields=(Field(name="hour", of="context", kind="categorical"),)
    )
    assert guards(workspace)["unseen values", "warning"] == (
        "hour: 1 of 2 values are not in train (0.0 % of valid's impressions, 80.0 % of test's "
        "impressions)"
    )


def test_coverage_of_images(workspace, tmp_path):
    (tmp_path / "images").mkdir()
    for item in range(3):
        (tmp_path / "images" / f"{item}.jpg").write_bytes(b"x")
    build_log(workspace, long_log(), images=tmp_path / "images")
    assert guards(workspace)["coverage of images", "warning"].startswith("3 of 7 items have one")


def test_without_times(workspace):
    rows = [
        {**r, "period": ["train", "valid", "test"][i // 20], "history": ["1"]}
        for i, r in enumerate(long_log())
    ]
    build_log(workspace, [{k: v for k, v in r.items() if k != "timestamp"} for r in rows], "given")
    found = guards(workspace)
    assert ("time order", "warning") in found
    assert ("overlap of periods", "warning") in found
    assert "the same history" in found["duplicate impressions", "warning"]


def test_groups_finer_than_users_are_counted(workspace):
    start = 86_400 * 19_000
    rows = [r | {"timestamp": start + 7_000 * r["timestamp"]} for r in long_log(length=20)]
    manifest = build_log(workspace, rows, snapshot=Snapshot("day"))
    assert manifest.snapshot == "day"
    log = open_impressions(workspace, "log")
    test = log.rows("test")
    groups = {}
    for group, user, click in zip(
        log.group[test].tolist(), log.user_id[test].tolist(), log.click[test].tolist(), strict=True
    ):
        groups.setdefault(group, (user, set()))[1].add(click)
    alone = sum(len(clicks) == 1 for _, clicks in groups.values())
    evaluable = len({user for user, clicks in groups.values() if len(clicks) == 2})
    messages = [g.message for g in check(workspace, "log") if g.name in ("one-class groups",)]
    assert messages[1].startswith(f"{alone} of {len(groups)} test groups have one class only")
    messages = [g.message for g in check(workspace, "log") if g.name == "evaluable users"]
    assert messages[1].startswith(f"{evaluable} test users have both")


def test_given_histories_with_outcomes_of_their_group(workspace):
    seen, rows = {}, []
    for r in long_log(length=20):
        mine = seen.setdefault(r["user_id"], [])
        rows.append(r | {"history": list(mine)})
        if r["click"]:
            mine.append(f"{r['item_id']}-{r['timestamp']}")
    rows = [r | {"item_id": f"{r['item_id']}-{r['timestamp']}"} for r in rows]
    build_log(workspace, rows)
    message = guards(workspace)["history strictly before", "warning"]
    # 6 users with 4 test impressions each and every second one clicked: two contain own outcomes
    assert message.startswith("the given histories of 12 of 24 test impressions contain items")
    fixed = [r | {"history": r["history"][:8] if r["timestamp"] >= 96 else []} for r in rows]
    build_log(workspace, fixed, name="fixed")
    (found,) = [g for g in check(workspace, "fixed") if g.name == "history strictly before"]
    assert "24 test impressions contain no own outcomes" in found.message
