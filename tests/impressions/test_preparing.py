"""History, prior counts and periods against a brute-force reference, with ties everywhere."""

import tempfile
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ctrbench.errors import DataError
from ctrbench.impressions import open_impressions
from ctrbench.schema import PERIODS, Field
from ctrbench.workspace import Workspace
from tests.impressions.logs import build_log, long_log, row, rows_of

SHARES = [20, 50, 10, 20]

logs = st.lists(
    st.builds(row, st.integers(9, 11), st.integers(0, 3), st.integers(0, 1), st.integers(0, 9)),
    min_size=12,
    max_size=40,
)


def expected(rows, split):
    """Every row as `rows_of` tells it, from plain loops."""
    told = []
    for r in rows:
        own = [q for q in rows if q["user_id"] == r["user_id"]]
        before = [q for q in own if q["timestamp"] < r["timestamp"]]
        clicks = sorted((q["timestamp"], int(q["item_id"])) for q in before if q["click"])
        peers = own if split == "per_user" else rows
        earlier = sum(q["timestamp"] < r["timestamp"] for q in peers)
        index = sum(
            earlier >= Fraction(share, 100) * len(peers) for share in accumulate(SHARES[:-1])
        )
        history = tuple(str(item) for _, item in clicks)
        words = r["user_id"], r["item_id"], r["click"], r["timestamp"]
        told.append((PERIODS[index], *words, history, len(before), len(clicks)))
    return told


def built(rows, split):
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        manifest = build_log(workspace, rows, f"{split}:20/50/10/20")
        return manifest.content_hash, rows_of(workspace)


@pytest.mark.parametrize("split", ["time", "per_user"])
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(rows=logs, seed=st.randoms())
def test_rows_equal_the_reference_and_forget_the_lines_order(split, rows, seed):
    wanted = expected(rows, split)
    assume({period for period, *_ in wanted} >= set(PERIODS[1:]))
    assume(len({r["click"] for r in rows}) == 2)
    content, found = built(rows, split)
    assert sorted(found) == sorted(wanted)
    order = [PERIODS.index(period) for period, *_ in found]
    assert order == sorted(order)
    seed.shuffle(rows)
    assert built(rows, split) == (content, found)


def test_later_clicks_change_nothing_earlier(tmp_path):
    rows, moment = long_log(), 30
    changed = [r | {"click": 1 - r["click"]} if r["timestamp"] >= moment else r for r in rows]
    told = []
    for name, log in (("a", rows), ("b", changed)):
        build_log(Workspace(tmp_path), log, name=name)
        told.append([r for r in rows_of(Workspace(tmp_path), name) if r[4] < moment])
    assert told[0] == told[1]
    assert len(told[0]) == 30


def test_three_shares_leave_no_pretrain_period(tmp_path):
    manifest = build_log(Workspace(tmp_path), long_log(), "time:60/20/20")
    assert manifest.periods == {"train": (0, 36), "valid": (36, 48), "test": (48, 60)}
    assert str(manifest.split) == "time 60/20/20 %"


def test_per_user_split_is_noted(tmp_path):
    manifest = build_log(Workspace(tmp_path), long_log(), "per_user:20/50/10/20")
    assert any("leaks future popularity" in note for note in manifest.notes)


def test_ids_are_numbered_as_numbers_where_all_are(tmp_path):
    rows = [r | {"item_id": ["10", "9", "007", "7"][i % 4]} for i, r in enumerate(long_log())]
    build_log(Workspace(tmp_path), rows)
    items = {item for _, _, item, *_ in rows_of(Workspace(tmp_path))}
    assert items == {"10", "9", "007", "7"}
    log = open_impressions(Workspace(tmp_path), "log")
    assert log.item_rows == 5


def test_given_histories_are_stored_once_each(tmp_path):
    lists = [["z", "a"], [], ["a", "b", "a"], None]
    rows = [r | {"history": lists[i % 4]} for i, r in enumerate(long_log())]
    manifest = build_log(Workspace(tmp_path), rows)
    assert manifest.history == "given"
    assert manifest.counts["history_items"] == 5
    given = {(r["timestamp"]): tuple(r["history"] or ()) for r in rows}
    assert all(history == given[t] for *_, t, history, _, _ in rows_of(Workspace(tmp_path)))


def untimed(rows):
    return [{k: v for k, v in r.items() if k != "timestamp"} for r in rows]


def test_without_times_rows_keep_their_order_and_have_no_prior_counts(tmp_path):
    rows = untimed(
        r | {"history": [r["item_id"]], "period": PERIODS[i * 4 // 60]}
        for i, r in enumerate(long_log())
    )
    build_log(Workspace(tmp_path), rows, "given")
    found = rows_of(Workspace(tmp_path))
    told = [(r["period"], r["user_id"], r["item_id"], r["click"]) for r in rows]
    assert [words[:4] for words in found] == told
    assert {words[-1] for words in found} == {None}


def test_valid_share_takes_the_last_of_train_by_time(tmp_path):
    rows = [r | {"period": "test" if r["timestamp"] >= 40 else "train"} for r in long_log()]
    manifest = build_log(Workspace(tmp_path), rows, "given", valid_share=0.1)
    assert manifest.periods == {"train": (0, 36), "valid": (36, 40), "test": (40, 60)}
    assert any("10 % of the given train, last by time" in note for note in manifest.notes)


def test_valid_share_without_times_is_a_draw_by_hash(tmp_path):
    rows = untimed(
        r | {"history": ["1"], "period": "test" if i % 3 == 0 else "train", "item_id": str(i)}
        for i, r in enumerate(long_log(length=40))
    )
    manifest = build_log(Workspace(tmp_path), rows, "given", valid_share=0.25)
    start, stop = manifest.periods["valid"]
    assert 20 <= stop - start <= 60  # of 160
    valid = {words[1:3] for words in rows_of(Workspace(tmp_path)) if words[0] == "valid"}
    build_log(Workspace(tmp_path), rows[::-1], "given", valid_share=0.25, name="back")
    again = {words[1:3] for words in rows_of(Workspace(tmp_path), "back") if words[0] == "valid"}
    assert valid == again


def without(rows, *columns):
    return [{k: v for k, v in r.items() if k not in columns} for r in rows]


@pytest.mark.parametrize(
    ("rows", "split", "message"),
    [
        (without(long_log(), "timestamp"), "time:60/20/20", "neither a timestamp nor a history"),
        (long_log(), "given", "a given split needs a column 'period'"),
        ([r | {"timestamp": 5} for r in long_log()], "time:60/20/20", "leaves valid, test without"),
        ([r | {"click": 1} for r in long_log()], "time:60/20/20", "all 60 .* are clicks.*--neg"),
        ([r | {"click": 0} for r in long_log()], "time:60/20/20", "all 60 .* are non-clicks"),
        ([r | {"period": "later"} for r in long_log()], "given", r"unknown period\(s\) later"),
        (
            [r | {"period": "test" if r["timestamp"] > 30 else "train"} for r in long_log()],
            "given",
            "no valid period: add --valid-share 0.1",
        ),
        (
            [{**without([r], "timestamp")[0], "history": ["1"]} for r in long_log()],
            "time:60/20/20",
            "the split time 60/20/20 % needs a timestamp",
        ),
    ],
)
def test_unsuitable_logs_are_refused(tmp_path, rows, split, message):
    with pytest.raises(DataError, match=message):
        build_log(Workspace(tmp_path), rows, split)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (["price (EUR)"], "use letters, digits and '_'"),
        (["click"], "the name is reserved"),
        (["Colour", "colour"], "stands in two tables"),
    ],
)
def test_unsuitable_field_names_are_refused(tmp_path, fields, message):
    named = tuple(Field(name=name, of="context", kind="numeric") for name in fields)
    with pytest.raises(DataError, match=message):
        build_log(Workspace(tmp_path), long_log(), fields=named)


def test_text_belongs_to_items(tmp_path):
    field = Field(name="query", of="context", kind="text")
    with pytest.raises(DataError, match="only items have text"):
        build_log(Workspace(tmp_path), long_log(query="x"), fields=(field,))
