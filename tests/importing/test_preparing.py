"""History, prior counts and periods against a brute-force reference, with many ties."""

import tempfile
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ctrbench.errors import CtrBenchError, DataError
from ctrbench.importing import Snapshot, numbering
from ctrbench.impressions import check, open_impressions, vocabulary
from ctrbench.impressions.permuting import permuted_outcomes
from ctrbench.schema import PERIODS, Field
from ctrbench.workspace import Workspace
from tests.impressions.logs import build_log, long_log, row, rows_of

SHARES = [20, 50, 10, 20]

DAY, SESSION = 40_000, 1_000  # seconds between two moments: two a day; a gap of two ends a session
START = 10**9 // 86_400 * 86_400

logs = st.lists(
    st.builds(row, st.integers(9, 11), st.integers(0, 3), st.integers(0, 1), st.integers(0, 9)),
    min_size=12,
    max_size=40,
)


def index_of(r, rows, split, shares):
    """Return the part of the shares, in per cent, that a row belongs to."""
    peers = [q for q in rows if q["user_id"] == r["user_id"]] if split == "per_user" else rows
    earlier = sum(q["timestamp"] < r["timestamp"] for q in peers)
    cuts = [round(10_000 * Fraction(share)) for share in accumulate(shares)]  # millionths
    return sum(earlier * 10**6 >= cut * len(peers) for cut in cuts)


def units(rows, split, snapshot):
    """Return the snapshot unit of every row, from plain loops."""
    index = [index_of(r, rows, split, SHARES[:-1]) for r in rows]
    blocks = max(1, round(index.count(1) / max(index.count(3), 1)))
    shares = [20, *[Fraction(50, blocks)] * (blocks - 1)]
    found = []
    for place, r in zip(index, rows, strict=True):
        unit = r["timestamp"]
        if place and snapshot == "period":
            unit = place == 1 and index_of(r, rows, split, shares)
        elif place and snapshot == "day":
            unit = r["timestamp"] // 86_400
        elif place and snapshot == "session":
            own = [
                q["timestamp"]
                for where, q in zip(index, rows, strict=True)
                if where == place and q["user_id"] == r["user_id"]
            ]
            while any(0 < unit - time <= 1800 for time in own):
                unit = max(time for time in own if 0 < unit - time <= 1800)
        found.append((r["user_id"], place, unit))
    return found


def expected(rows, split, snapshot="impression"):
    """Return every row in the form of `rows_of`, from plain loops."""
    rows_before, unit = [], units(rows, split, snapshot)
    for r, mine in zip(rows, unit, strict=True):
        own = [q for q in rows if q["user_id"] == r["user_id"]]
        start = min(q["timestamp"] for q, theirs in zip(rows, unit, strict=True) if theirs == mine)
        before = [q for q in own if q["timestamp"] < start]
        clicks = sorted((q["timestamp"], int(q["item_id"])) for q in before if q["click"])
        history = tuple(str(item) for _, item in clicks)
        words = r["user_id"], r["item_id"], r["click"], r["timestamp"]
        rows_before.append((PERIODS[mine[1]], *words, history, len(before), len(clicks)))
    return rows_before


def built(rows, split, snapshot="impression"):
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        by = Snapshot(snapshot)
        manifest = build_log(workspace, rows, f"{split}:20/50/10/20", snapshot=by)
        groups = open_impressions(workspace, "log").group
        found = None if groups is None else groups.tolist()
        worst = {g.outcome for g in check(workspace, "log") if g.name == "history strictly before"}
        return manifest.content_hash, rows_of(workspace), found, worst


@pytest.mark.parametrize("snapshot", ["impression", "session", "day", "period"])
@pytest.mark.parametrize("split", ["time", "per_user"])
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(rows=logs, seed=st.randoms())
def test_rows_equal_the_reference_in_any_order_of_lines(split, snapshot, rows, seed):
    apart = DAY if snapshot == "day" else SESSION
    rows = [r | {"timestamp": START + apart * r["timestamp"]} for r in rows]
    wanted = expected(rows, split, snapshot)
    test = [unit for unit in units(rows, split, snapshot) if unit[1] == 3]
    assume({period for period, *_ in wanted} >= set(PERIODS[1:]))
    assume(len({r["click"] for r in rows}) == 2)
    assume(snapshot in ("impression", "period") or len(set(test)) < len(test))
    content, found, groups, worst = built(rows, split, snapshot)
    assert sorted(found) == sorted(wanted)
    assert worst == {"warning" if snapshot == "impression" else "ok"}
    order = [PERIODS.index(period) for period, *_ in found]
    assert order == sorted(order)
    if groups is not None:
        unit_of = {
            words[:5]: unit
            for words, unit in zip(wanted, units(rows, split, snapshot), strict=True)
        }
        pairs = {
            (group, unit_of[words[:5]])
            for group, words in zip(groups, found, strict=True)
            if words[0] != "pretrain"
        }
        assert len({group for group, _ in pairs}) == len({unit for _, unit in pairs}) == len(pairs)
    seed.shuffle(rows)
    assert built(rows, split, snapshot) == (content, found, groups, worst)


def test_a_state_is_renewed_at_the_start_of_every_period_and_block(tmp_path):
    build_log(Workspace(tmp_path), long_log(users=2, length=20))
    seen = {}
    for period, user, *_, prior, _clicks in rows_of(Workspace(tmp_path)):
        seen.setdefault((user, period), []).append(prior)
    # 40 rows in turn, 20 of each user: periods of 4, 10, 2 and 4; train in round(10 / 4) = 2 blocks
    assert seen["0", "pretrain"] == [0, 1, 2, 3]
    assert seen["0", "train"] == [4] * 5 + [9] * 5
    assert seen["0", "valid"] == [14] * 2
    assert seen["0", "test"] == [16] * 4


def test_outcomes_of_a_group_do_not_change_its_states(tmp_path):
    log = long_log(users=5, length=40)
    rows = [r | {"timestamp": START + 7200 * r["timestamp"]} for r in log]
    for kind in ("period", "day"):
        workspace, states = Workspace(tmp_path / kind), []
        flipped = [r | {"click": 1 - r["click"]} for r in rows]
        build_log(workspace, rows, snapshot=Snapshot(kind), name="a")
        log = open_impressions(workspace, "a")
        last = log.group_id == log.group_id[-1]
        last[: log.rows("test").start] = False
        first = int(np.flatnonzero(last)[0])
        moment = int(log.timestamp[first])
        changed = [f if r["timestamp"] >= moment else r for r, f in zip(rows, flipped, strict=True)]
        build_log(workspace, changed, snapshot=Snapshot(kind), name="b")
        for name in ("a", "b"):
            states.append([words[5:] for words in rows_of(workspace, name)])
        assert [states[0][i] for i in np.flatnonzero(last)] == [
            states[1][i] for i in np.flatnonzero(last)
        ]


def test_a_column_names_the_sessions(tmp_path):
    rows = [r | {"visit": str(r["timestamp"] // 12)} for r in long_log()]
    field = Field(name="visit", of="context", kind="categorical")
    by = Snapshot("session", "visit")
    manifest = build_log(Workspace(tmp_path), rows, snapshot=by, fields=(field,))
    assert (manifest.snapshot, manifest.snapshot_column) == ("session", "visit")
    assert manifest.fields == ()  # not an input of a model
    log = open_impressions(Workspace(tmp_path), "log")
    test = log.rows("test")
    assert len(set(log.group_id[test].tolist())) == 6  # a visit of each user, two impressions each
    assert log.prior_impressions[test].tolist() == [8] * 12


def test_groups_of_a_log_without_times_come_from_a_column(tmp_path):
    rows = untimed(
        r | {"history": ["1"], "period": PERIODS[i * 4 // 60], "visit": str(i // 30)}
        for i, r in enumerate(long_log())
    )
    field = Field(name="visit", of="context", kind="categorical")
    by = Snapshot("session", "visit")
    build_log(Workspace(tmp_path), rows, "given", snapshot=by, fields=(field,))
    log = open_impressions(Workspace(tmp_path), "log")
    assert len(set(log.group_id[log.rows("test")].tolist())) == 6
    assert log.prior_impressions is None


WHOLE_DAYS = [r | {"timestamp": START + 86_400 * r["timestamp"]} for r in long_log()]
VISIT = (Field(name="visit", of="context", kind="categorical"),)


@pytest.mark.parametrize(
    ("rows", "snapshot", "message"),
    [
        (long_log(), Snapshot("day"), "the largest is 59"),
        (long_log(), Snapshot("session"), "the largest is 59"),
        (WHOLE_DAYS, Snapshot("session"), "24 hours"),
        (WHOLE_DAYS, Snapshot("impression"), "'impression'"),
        (WHOLE_DAYS, Snapshot("day"), "12 test"),
        (long_log(visit="a"), Snapshot("session", "visit"), "'visit'"),
        (
            [r | {"visit": "" if r["timestamp"] < 3 else "a"} for r in long_log()],
            Snapshot("day", "visit"),
            "'visit' .* 3 ",
        ),
        (
            [r | {"visit": str(r["timestamp"])} for r in long_log()],
            Snapshot("session", "visit"),
            "12 test",
        ),
        (long_log(), Snapshot("session", "vist"), "vist"),
    ],
)
def test_snapshots_that_a_log_does_not_support_are_refused(tmp_path, rows, snapshot, message):
    fields = VISIT if "visit" in rows[0] else ()
    with pytest.raises(CtrBenchError, match=message):
        build_log(Workspace(tmp_path), rows, snapshot=snapshot, fields=fields)
    assert list(tmp_path.rglob("*.parquet")) == []


def test_days_of_a_log_without_times_are_refused(tmp_path):
    rows = untimed(
        r | {"history": ["1"], "period": PERIODS[i * 4 // 60]} for i, r in enumerate(long_log())
    )
    with pytest.raises(DataError, match="--snapshot-column"):
        build_log(Workspace(tmp_path), rows, "given", snapshot=Snapshot("day"))


def test_later_clicks_do_not_change_earlier_rows(tmp_path):
    rows, moment = long_log(), 30
    changed = [r | {"click": 1 - r["click"]} if r["timestamp"] >= moment else r for r in rows]
    earlier = []
    for name, log in (("a", rows), ("b", changed)):
        build_log(Workspace(tmp_path), log, name=name)
        earlier.append([r for r in rows_of(Workspace(tmp_path), name) if r[4] < moment])
    assert earlier[0] == earlier[1]
    assert len(earlier[0]) == 30


def test_three_shares_omit_the_pretrain_period(tmp_path):
    manifest = build_log(Workspace(tmp_path), long_log(), "time:60/20/20")
    assert manifest.periods == {"train": (0, 36), "valid": (36, 48), "test": (48, 60)}
    assert str(manifest.split) == "time 60/20/20 %"


def test_per_user_split_is_noted(tmp_path):
    manifest = build_log(Workspace(tmp_path), long_log(), "per_user:20/50/10/20")
    assert any("leaks future popularity" in note for note in manifest.notes)


def test_ids_are_sorted_as_numbers_if_all_are(tmp_path):
    rows = [r | {"item_id": ["10", "9", "007", "7"][i % 4]} for i, r in enumerate(long_log())]
    build_log(Workspace(tmp_path), rows)
    items = {item for _, _, item, *_ in rows_of(Workspace(tmp_path))}
    assert items == {"10", "9", "007", "7"}
    log = open_impressions(Workspace(tmp_path), "log")
    assert log.item_rows == 5


def test_distinct_given_histories_are_stored_once(tmp_path):
    lists = [["z", "a"], [], ["a", "b", "a"], None]
    rows = [r | {"history": lists[i % 4]} for i, r in enumerate(long_log())]
    manifest = build_log(Workspace(tmp_path), rows)
    assert manifest.history == "given"
    assert manifest.counts["history_items"] == 5
    given = {(r["timestamp"]): tuple(r["history"] or ()) for r in rows}
    assert all(history == given[t] for *_, t, history, _, _ in rows_of(Workspace(tmp_path)))


def test_many_rows_share_few_given_lists(tmp_path):
    rng = np.random.default_rng(0)
    lists = [list(map(str, rng.integers(0, 30, length))) for length in range(40)]
    rows = [
        row(n % 5, n % 7, n % 2, n // 3, history=lists[place])
        for n, place in enumerate(rng.integers(0, len(lists), 6000))
    ]
    build_log(Workspace(tmp_path), rows)
    log = open_impressions(Workspace(tmp_path), "log")
    assert len(log.history_items) == sum(map(len, lists))
    given = sorted((r["timestamp"], r["user_id"], r["item_id"], tuple(r["history"])) for r in rows)
    stored = sorted(
        (t, u, i, history) for _, u, i, _, t, history, *_ in rows_of(Workspace(tmp_path))
    )
    assert stored == given


def test_fields_of_lists_keep_their_values_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(numbering, "LIST_ROWS", 2048)  # the log has several blocks
    lists = [["b", "", "a", None, "b"], None, [], ["10", "a"], [None], ["", "c"]]
    rows = [row(n % 5, n % 7, n % 2, n, seen=lists[n % 11 % 6]) for n in range(5000)]
    items = [{"item_id": str(n), "tags": lists[n % 6]} for n in range(7)]
    fields = (
        Field(name="seen", of="context", kind="list"),
        Field(name="tags", of="item", kind="list"),
    )
    build_log(Workspace(tmp_path), rows, tables={"items": items}, fields=fields)
    log = open_impressions(Workspace(tmp_path), "log")

    def decoded(name, column):
        values = ["", *vocabulary(Workspace(tmp_path), "log", name)]
        parts = np.split(column.values, column.offsets[1:-1])
        return [[values[code] for code in part] for part in parts]

    kept = [[value for value in one or [] if value] for one in lists]
    assert decoded("seen", log.context_fields["seen"]) == [kept[n % 11 % 6] for n in range(5000)]
    of_items = decoded("tags", log.item_fields["tags"])
    assert of_items == [[], *(kept[n % 6] for n in range(7))]  # item 0 is unknown


def untimed(rows):
    return [{k: v for k, v in r.items() if k != "timestamp"} for r in rows]


def test_without_times_rows_keep_their_order_and_have_no_prior_counts(tmp_path):
    rows = untimed(
        r | {"history": [r["item_id"]], "period": PERIODS[i * 4 // 60]}
        for i, r in enumerate(long_log())
    )
    build_log(Workspace(tmp_path), rows, "given")
    found = rows_of(Workspace(tmp_path))
    given = [(r["period"], r["user_id"], r["item_id"], r["click"]) for r in rows]
    assert [words[:4] for words in found] == given
    assert {words[-1] for words in found} == {None}


def test_valid_share_takes_the_end_of_train(tmp_path):
    rows = [r | {"period": "test" if r["timestamp"] >= 40 else "train"} for r in long_log()]
    manifest = build_log(Workspace(tmp_path), rows, "given", valid_share=0.1)
    assert manifest.periods == {"train": (0, 36), "valid": (36, 40), "test": (40, 60)}
    assert any("10 % of the given train, last by time" in note for note in manifest.notes)


def test_valid_share_without_times_samples_by_hash(tmp_path):
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
        (without(long_log(), "timestamp"), "time:60/20/20", "timestamp.*history"),
        (long_log(), "given", "'period'"),
        (
            [r | {"timestamp": 5} for r in long_log()],
            "time:60/20/20",
            " 1 .*timestamps",
        ),
        ([r | {"click": 1} for r in long_log()], "time:60/20/20", "60 .*--negatives"),
        ([r | {"click": 0} for r in long_log()], "time:60/20/20", "60 .*non-clicks"),
        ([r | {"period": "later"} for r in long_log()], "given", "later"),
        (
            [r | {"period": "test" if r["timestamp"] > 30 else "train"} for r in long_log()],
            "given",
            "--valid-share",
        ),
        (
            [{**without([r], "timestamp")[0], "history": ["1"]} for r in long_log()],
            "time:60/20/20",
            "time 60/20/20 % .*timestamp",
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
        (["price (EUR)"], r"'price \(EUR\)'"),
        (["click"], "'click'"),
        (["Colour", "colour"], "'colour'"),
    ],
)
def test_unsuitable_field_names_are_refused(tmp_path, fields, message):
    named = tuple(Field(name=name, of="context", kind="numeric") for name in fields)
    with pytest.raises(DataError, match=message):
        build_log(Workspace(tmp_path), long_log(), fields=named)


def test_only_items_have_text_fields(tmp_path):
    field = Field(name="query", of="context", kind="text")
    with pytest.raises(DataError, match="'query'"):
        build_log(Workspace(tmp_path), long_log(query="x"), fields=(field,))


def interleaved(users=40, each=30):
    """A random tenth of the impressions of each user is test, at any time."""
    rng = np.random.default_rng(0)
    return [
        row(user, int(rng.integers(9)), int(rng.random() < 0.5), 1000 * step + user)
        | {"period": str(rng.choice(["train", "valid", "test"], p=[0.8, 0.1, 0.1]))}
        for step in range(each)
        for user in range(users)
    ]


@pytest.mark.parametrize("share", [None, 0.2])
def test_periods_that_interleave_in_time_have_one_state_each(tmp_path, share):
    rows = interleaved()
    if share is not None:
        rows = [r | {"period": "train" if r["period"] == "valid" else r["period"]} for r in rows]
    build_log(Workspace(tmp_path), rows, "given", valid_share=share)
    log = open_impressions(Workspace(tmp_path), "log")
    for period in ("valid", "test"):
        part = log.rows(period)
        states = {}
        for user, prior in zip(log.user_id[part], log.prior_impressions[part], strict=True):
            states.setdefault(int(user), set()).add(int(prior))
        assert max(map(len, states.values())) == 1
    guards = [g for g in check(Workspace(tmp_path), "log") if g.name == "history strictly before"]
    assert [g.outcome for g in guards] == ["ok"]


def test_sessions_of_a_user_may_overlap(tmp_path):
    rng = np.random.default_rng(1)
    rows = [
        row(step % 5, int(rng.integers(9)), int(rng.random() < 0.5), step)
        | {"visit": f"{step // 40}{'ab'[int(rng.integers(2))]}"}
        for step in range(400)
    ]
    field = Field(name="visit", of="context", kind="categorical")
    by = Snapshot("session", "visit")
    workspace = Workspace(tmp_path)
    manifest = build_log(workspace, rows, snapshot=by, fields=(field,))
    log = open_impressions(workspace, "log")
    test = log.rows("test")
    visits = {(r["user_id"], r["visit"]) for r in rows if r["timestamp"] >= 320}
    assert len(set(log.group_id[test].tolist())) == len(visits) == 20
    rng.shuffle(rows)
    again = build_log(workspace, rows, snapshot=by, fields=(field,), name="again")
    assert again.content_hash == manifest.content_hash
    permuted = permuted_outcomes(log, np.random.default_rng(0))
    assert (permuted.prior_impressions == log.prior_impressions).all()


def test_snapshot_day_requires_seconds(tmp_path):
    rows = [r | {"timestamp": 2024013100 + r["timestamp"] % 24} for r in long_log()]
    with pytest.raises(DataError, match="one day"):
        build_log(Workspace(tmp_path), rows, snapshot=Snapshot("day"))


def with_prefixes():
    """Rows of two users whose histories are prefixes of one list each, and the lists."""
    lists = {"0": ["5", "6", "7"], "1": ["7"]}
    rows = []
    for i, r in enumerate(without(long_log(), "timestamp")):
        key = str(i % 2)
        rows.append(
            r
            | {"period": PERIODS[i * 4 // 60], "user_id": key, "history_key": key}
            | {"history_length": None if i == 4 else i // 2 % (1 + len(lists[key]))}
        )
    return rows, [{"history_key": key, "history": items} for key, items in lists.items()]


def test_histories_are_prefixes_of_lists_that_are_stored_once(tmp_path):
    rows, lists = with_prefixes()
    manifest = build_log(Workspace(tmp_path), rows, "given", tables={"histories": lists})
    assert manifest.history == "given"
    assert manifest.counts["history_items"] == 4
    expected = [tuple(lists[int(r["history_key"])]["history"][: r["history_length"]]) for r in rows]
    assert [history for *_, history, _, _ in rows_of(Workspace(tmp_path))] == expected


def test_a_history_longer_than_its_list_is_refused(tmp_path):
    rows, lists = with_prefixes()
    rows[0]["history_length"] = 9
    with pytest.raises(DataError, match=r"1 impression has a longer history .*9 items"):
        build_log(Workspace(tmp_path), rows, "given", tables={"histories": lists})
