import gzip
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctrbench.datasets.table import TableImporter
from ctrbench.errors import ConfigError, DataError, UnknownNameError
from ctrbench.impressions import open_impressions, raw_item_ids, vocabulary
from ctrbench.schema import Ragged
from ctrbench.workspace import Workspace
from tests.datasets.imports import lines, run
from tests.impressions.logs import long_log, rows_of


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def csv(path, rows, separator=","):
    """Write dicts as a text file, and return its path as a string."""
    table = [list(rows[0]), *(row.values() for row in rows)]
    path.write_text("".join(separator.join(map(str, row)) + "\n" for row in table))
    return str(path)


def parquet(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def importer(impressions, **options):
    return TableImporter([impressions] if isinstance(impressions, str) else impressions, **options)


def kinds(manifest):
    return {field.name: (field.of, field.kind) for field in manifest.fields}


def test_csv_and_parquet_give_the_same(workspace, tmp_path):
    rows = long_log(hour=5, price=1.5)
    numbers = [r | {"user_id": int(r["user_id"]), "item_id": int(r["item_id"])} for r in rows]
    manifests = [
        run(workspace, importer(csv(tmp_path / "a.csv", rows)), name="a"),
        run(workspace, importer(csv(tmp_path / "b.tsv", rows, "\t")), name="b"),
        run(workspace, importer(parquet(tmp_path / "c.parquet", numbers)), name="c"),
    ]
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    manifests.append(run(workspace, importer(str(tmp_path / "d.csv.gz")), name="d"))
    assert len({manifest.content_hash for manifest in manifests}) == 1
    assert kinds(manifests[0]) == {
        "hour": ("context", "categorical"),
        "price": ("context", "numeric"),
    }
    assert manifests[0].label == "click = 1"
    assert str(manifests[0].split) == "time 20/50/10/20 %"


def test_given_histories_of_numbers_and_of_texts_are_the_same(workspace, tmp_path):
    rows = [
        r | {"item_id": "1" + r["item_id"], "history": [i % 2 * 10, 11, 12] if i % 4 else []}
        for i, r in enumerate(long_log())
    ]
    numbers = [r | {"user_id": int(r["user_id"]), "item_id": int(r["item_id"])} for r in rows]
    texts = [r | {"history": list(map(str, r["history"]))} for r in rows]
    manifests = [
        run(workspace, importer(parquet(tmp_path / f"{name}.parquet", log), pad="0"), name=name)
        for name, log in (("numbers", numbers), ("texts", texts))
    ]
    assert manifests[0].history == "given"
    assert manifests[0].content_hash == manifests[1].content_hash


def test_ids_keep_their_zeros_and_any_range(workspace, tmp_path):
    ids = ["007", "7", "99999999999999999999999"]
    rows = [r | {"item_id": ids[i % 3]} for i, r in enumerate(long_log())]
    run(workspace, importer(csv(tmp_path / "a.csv", rows)))
    assert raw_item_ids(workspace, "log") == ids


def test_ids_that_pandas_made_floats(workspace, tmp_path):
    rows = [r | {"item_id": float(r["item_id"])} for r in long_log()]
    run(workspace, importer(parquet(tmp_path / "a.parquet", rows)))
    assert raw_item_ids(workspace, "log") == list("0123456")


def test_several_files_and_folders(workspace, tmp_path):
    rows = long_log()
    (tmp_path / "log").mkdir()
    one = csv(tmp_path / "log" / "a.csv", rows[:20])
    two = csv(tmp_path / "log" / "b[1].csv", rows[20:])
    hashes = {
        run(workspace, importer(files), name=f"n{i}").content_hash
        for i, files in enumerate([[one, two], [two, one], [str(tmp_path / "log")]])
    }
    assert len(hashes) == 1


def test_rename_drop_and_label(workspace, tmp_path):
    rows = [{"uid": r["user_id"], "is_like": r["click"], "noise": 1, **r} for r in long_log()]
    rows = [{k: v for k, v in r.items() if k not in ("user_id", "click")} for r in rows]
    file = csv(tmp_path / "a.csv", rows)
    options = {"rename": ["uid=user_id", "is_like=click"], "drop": "noise"}
    manifest = run(workspace, importer(file, **options))
    assert manifest.label == "is_like = 1"
    assert manifest.fields == ()
    manifest = run(workspace, importer(file, **options, label="a like"), name="b")
    assert manifest.label == "a like"


def test_fields_of_items_users_and_context(workspace, tmp_path):
    rows = long_log(city="x", score=3)
    log = csv(tmp_path / "log.csv", rows)
    items = lines(
        tmp_path / "items.csv",
        """item_id,genres,price,year,title,code
        1,a|b,0.5,1999,One,1.0
        2,,,2000,Two,2.0""",
    )
    users = [
        {"user_id": 1, "age": 30, "langs": ["de", "fr"]},
        {"user_id": 99, "age": 1, "langs": None},
    ]
    options = {
        "items": items,
        "users": Path(parquet(tmp_path / "users.parquet", users)),
        "lists": ["genres=|"],
        "numeric": "score",
        "categorical": "code",
        "text": "title",
        "user_fields": "city",
    }
    manifest = run(workspace, importer(log, **options))
    assert kinds(manifest) == {
        "age": ("user", "categorical"),
        "city": ("user", "categorical"),
        "langs": ("user", "list"),
        "code": ("item", "categorical"),
        "genres": ("item", "list"),
        "price": ("item", "numeric"),
        "title": ("item", "text"),
        "year": ("item", "categorical"),
        "score": ("context", "numeric"),
    }
    log = open_impressions(workspace, "log")
    assert vocabulary(workspace, "log", "code") == ["1.0", "2.0"]
    np.testing.assert_array_equal(log.item_fields["price"], [np.nan, np.nan, 0.5, *[np.nan] * 5])
    langs = log.user_fields["langs"]
    assert isinstance(langs, Ragged)
    assert langs.values.tolist() == [1, 2]
    assert list(log.user_fields["city"]) == [0, 1, 1, 1, 1, 1, 1]
    assert manifest.counts["items_unlisted"] == 5
    assert manifest.counts["users"] == 6


def test_padding_of_given_histories_is_removed(workspace, tmp_path):
    rows = [
        {
            "user_id": r["user_id"],
            "item_id": "1" + r["item_id"],
            "click": r["click"],
            "history": "0^0^15^13",
        }
        for r in long_log()
    ]
    files = [
        f"{period}={csv(tmp_path / f'{period}.csv', rows[a:b])}"
        for period, a, b in [("train", 0, 40), ("valid", 40, 50), ("test", 50, 60)]
    ]
    manifest = run(workspace, importer(files, lists=["history=^"], pad="0"))
    assert manifest.split.kind == "given"
    assert manifest.periods == {"train": (0, 40), "valid": (40, 50), "test": (50, 60)}
    assert {words[5] for words in rows_of(workspace)} == {("15", "13")}
    assert manifest.counts["history_items"] == 2


def test_given_histories_as_lists(workspace, tmp_path):
    rows = [
        r | {"item_id": "1" + r["item_id"], "history": [0, int("1" + r["item_id"])]}
        for r in long_log()
    ]
    run(workspace, importer(parquet(tmp_path / "a.parquet", rows), pad="0"))
    assert {words[5] for words in rows_of(workspace) if words[2] == "14"} == {("14",)}


@pytest.mark.parametrize("kind", [int, float, str])
def test_padding_of_histories_is_not_an_item(workspace, tmp_path, kind):
    rows = [
        r | {"item_id": kind("1" + r["item_id"]), "history": [kind(0), kind(9)]} for r in long_log()
    ]
    items = [{"item_id": kind(item), "colour": f"c{item}"} for item in (0, 9, 16)]
    file = parquet(tmp_path / "a.parquet", rows)
    options = {"items": Path(parquet(tmp_path / "items.parquet", items))}
    run(workspace, importer(file, **options, pad="0"))
    assert raw_item_ids(workspace, "log") == ["9", *map(str, range(10, 17))]
    assert vocabulary(workspace, "log", "colour") == ["c16", "c9"]
    run(workspace, importer(file, **options), name="real")
    assert raw_item_ids(workspace, "real")[0] == "0"


def test_padding_that_is_a_target_is_refused(workspace, tmp_path):
    file = parquet(tmp_path / "a.parquet", [r | {"history": ["0", "3"]} for r in long_log()])
    with pytest.raises(DataError, match=r"8 .*'item_id' are 0, .*--pad"):
        run(workspace, importer(file, pad="0"))


def test_another_split_than_the_given_one(workspace, tmp_path):
    rows = [r | {"period": "train"} for r in long_log()]
    manifest = run(workspace, importer(csv(tmp_path / "a.csv", rows)), "time:60/20/20")
    assert manifest.periods["valid"] == (36, 48)
    assert manifest.fields == ()


def test_words_as_labels(workspace, tmp_path):
    rows = [r | {"click": str(bool(r["click"]))} for r in long_log()]
    assert run(workspace, importer(csv(tmp_path / "a.csv", rows))).counts["clicks"] == 30


def test_negatives(workspace, tmp_path):
    rows = [
        {k: v for k, v in r.items() if k != "click"} | {"hour": r["timestamp"] % 5}
        for r in long_log(length=3)
    ]
    file = csv(tmp_path / "a.csv", rows)
    manifest = run(workspace, importer(file, negatives=2, seed=3))
    found = rows_of(workspace)
    clicked = {(user, item) for _, user, item, click, *_ in found if click}
    drawn = [(user, item, time) for _, user, item, click, time, *_ in found if not click]
    assert len(drawn) == 2 * len(rows) == manifest.counts["drawn_negatives"]
    assert len(set(drawn)) == len(drawn)
    assert not clicked & {(user, item) for user, item, _ in drawn}
    assert sorted(time for *_, time in drawn) == sorted(2 * [r["timestamp"] for r in rows])
    log = open_impressions(workspace, "log")
    assert log.timestamp is not None
    hours = np.asarray(log.context_fields["hour"]) - 1
    np.testing.assert_array_equal(hours, log.timestamp % 5)
    assert any(
        note.startswith("36 non-clicks") and "2 per click" in note for note in manifest.notes
    )
    back = importer(csv(tmp_path / "b.csv", rows[::-1]), negatives=2, seed=3)
    assert run(workspace, back, name="back").content_hash == manifest.content_hash
    other = importer(file, negatives=2, seed=4)
    assert run(workspace, other, name="other").content_hash != manifest.content_hash


def test_negatives_beyond_all_items(workspace, tmp_path):
    rows = [{k: v for k, v in r.items() if k != "click"} for r in long_log(users=3, length=2)]
    file = csv(tmp_path / "a.csv", rows)  # 4 items, of which each user clicks 2
    manifest = run(workspace, importer(file, negatives=10**6), "time:60/20/20")
    assert manifest.counts["drawn_negatives"] == 2 * 6
    assert any("5,999,988" in note for note in manifest.notes)


def bad(column, index, value):
    return lambda rows: [r | {column: value} if i == index else r for i, r in enumerate(rows)]


def every(column, make):
    return lambda rows: [r | {column: make(i)} for i, r in enumerate(rows)]


@pytest.mark.parametrize("write", [csv, parquet])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (bad("user_id", 3, ""), "1 .*'user_id' .*missing: (line 5|row 4)"),
        (bad("item_id", 0, ""), "1 .*'item_id' .*missing: (line 2|row 1)"),
        (bad("click", 1, 2), r"1 .*'click' are neither 0 nor 1: (line 3|row 2) \(2\)"),
        (every("click", lambda i: 0.5), "60 .*'click' are neither 0 nor 1"),
        (
            bad("timestamp", 1, -5),
            r"'timestamp' .*negative.*: (line 3|row 2) \(-5\)",
        ),
        (
            bad("timestamp", 1, 1_600_000_000_000),
            "mixed units in 'timestamp': 0 .*seconds, 1600000000000 .*in milliseconds",
        ),
        (
            every("weight", lambda i: i),
            r"1 .*'weight' .*: (line 2|row 1) \(0\)",
        ),
        (every("period", lambda i: "tst"), "60 .*'period' .*pretrain, train, valid, test"),
    ],
)
def test_unsuitable_rows(workspace, tmp_path, write, change, message):
    suffix = "csv" if write is csv else "parquet"
    file = write(tmp_path / f"log.{suffix}", change(long_log()))
    with pytest.raises(DataError, match=message):
        run(workspace, importer(file))
    assert not workspace.home.exists() or list(workspace.home.iterdir()) == []


def test_all_problems_at_once(workspace, tmp_path):
    rows = bad("click", 1, 5)(bad("user_id", 0, "")(long_log()))
    with pytest.raises(DataError, match=r"(?s)'user_id' .*missing.*'click' are neither"):
        run(workspace, importer(csv(tmp_path / "a.csv", rows)))


def test_columns_that_are_missing(workspace, tmp_path):
    rows = [
        {"userid": r["user_id"], "item_id": r["item_id"], "clk": r["click"]} for r in long_log()
    ]
    file = csv(tmp_path / "a.csv", rows)
    with pytest.raises(DataError, match=r"(?s)Did you mean 'userid'.*'click'.*--rename is_click=c"):
        run(workspace, importer(file))


def test_a_history_that_is_not_cut(workspace, tmp_path):
    file = csv(tmp_path / "a.csv", long_log(history="1^2"))
    with pytest.raises(DataError, match=r"'history' is text.* --list 'history=\^'"):
        run(workspace, importer(file))


def test_files_that_do_not_match(workspace, tmp_path):
    one, two = csv(tmp_path / "a.csv", long_log()), csv(tmp_path / "b.csv", long_log(hour=1))
    with pytest.raises(DataError, match=r"hour .*a\.csv"):
        run(workspace, importer([one, two]))


def test_user_fields_must_be_constant(workspace, tmp_path):
    rows = every("city", lambda i: "ab"[i % 2 if i == 0 else 1])(long_log())
    with pytest.raises(DataError, match=r"1 user_id\(s\) have several .*such as 0"):
        run(workspace, importer(csv(tmp_path / "a.csv", rows), user_fields="city"))


def test_items_with_several_different_rows(workspace, tmp_path):
    items = lines(tmp_path / "items.csv", "item_id,year\n1,1999\n1,2000\n2,1\n2,1")
    with pytest.raises(DataError, match=r"1 item_id\(s\) have several .*such as 1"):
        run(workspace, importer(csv(tmp_path / "a.csv", long_log()), items=items))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item,year\n1,2", "no column 'item_id'"),
        ("item_id,year\n,2", "'item_id' .*: line 2"),
    ],
)
def test_items_without_ids(workspace, tmp_path, text, message):
    items = lines(tmp_path / "items.csv", text)
    with pytest.raises(DataError, match=message):
        run(workspace, importer(csv(tmp_path / "a.csv", long_log()), items=items))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"numeric": "hours"}, "no column 'hours'.*Did you mean 'hour'"),
        ({"text": "title"}, "no column 'title'; known: none yet"),
        ({"drop": "huor"}, "no column 'huor'"),
        ({"rename": ["clk=click"]}, "no column 'clk'"),
        ({"user_fields": "city"}, "no column 'city'"),
        ({"lists": ["tags=|"]}, "no column 'tags'"),
        ({"lists": ["hour"]}, "--list 'hour': .*NAME=VALUE"),
        ({"numeric": "hour", "categorical": "hour"}, "'hour' .*numeric and categorical"),
        ({"rename": ["hour=click"]}, "--rename"),
    ],
)
def test_unsuitable_options(workspace, tmp_path, options, message):
    file = csv(tmp_path / "a.csv", long_log(hour=1))
    with pytest.raises(ConfigError, match=message):
        run(workspace, importer(file, **options))


def test_periods_given_twice(workspace, tmp_path):
    one = csv(tmp_path / "a.csv", long_log())
    two = csv(tmp_path / "b.csv", long_log())
    with pytest.raises(ConfigError, match=r"--impressions.*PERIOD=FILE"):
        run(workspace, importer([f"train={one}", two]))
    two = csv(tmp_path / "b.csv", long_log(period="test"))
    with pytest.raises(ConfigError, match=r"PERIOD=FILE.*column 'period'"):
        run(workspace, importer([f"train={two}"]))


def test_an_empty_folder(workspace, tmp_path):
    with pytest.raises(DataError, match=r"\.parquet"):
        run(workspace, importer(str(tmp_path)))


def test_negatives_need_a_log_of_clicks_alone(workspace, tmp_path):
    with pytest.raises(DataError, match=r"--negatives .* 30 non-clicks"):
        run(workspace, importer(csv(tmp_path / "a.csv", long_log()), negatives=1))


def test_hint_about_clicks_only_if_clicks_are_missing(workspace, tmp_path):
    rows = [{k: v for k, v in r.items() if k != "user_id"} for r in long_log()]
    with pytest.raises(DataError, match=r"no column 'user_id'[^\n]*$"):
        run(workspace, importer(csv(tmp_path / "a.csv", rows)))
    rows = [{k: v for k, v in r.items() if k != "click"} for r in long_log()]
    with pytest.raises(DataError, match=r"(?s)no column 'click'.*--rename is_click=click"):
        run(workspace, importer(csv(tmp_path / "a.csv", rows)))


def test_given_period_that_is_empty(workspace, tmp_path):
    file = csv(tmp_path / "a.csv", long_log())
    with pytest.raises(DataError, match=r"leaves valid, test without .* give files for them"):
        run(workspace, importer(f"train={file}"))


def test_message_about_damaged_parquet_contains_no_sql(workspace, tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"^[^;]*a.parquet is damaged or no parquet file: [^;]*$"):
        run(workspace, importer(str(tmp_path / "a.parquet")))


def test_histories_of_another_spelling_are_refused(workspace, tmp_path):
    rows = [r | {"history": "10|11"} for r in long_log()]
    with pytest.raises(DataError, match=r"histories .*'10\|11'"):
        run(workspace, importer(csv(tmp_path / "a.csv", rows), lists=["history=^"]))


def test_few_items_of_histories_or_of_the_items_file_are_noted(workspace, tmp_path):
    rows = [r | {"history": "x|y|z|1"} for r in long_log()]
    items = tmp_path / "items.csv"
    items.write_text("item_id,c\n1,a\n")
    log = csv(tmp_path / "a.csv", rows)
    notes = run(workspace, importer(log, lists=["history=|"], items=items)).notes
    assert any("25.0 %" in note for note in notes)
    assert any("items.csv" in note and "1 of 7" in note for note in notes)


@pytest.mark.parametrize(("pad", "note"), [("9", "--pad 9 does not"), ("1.0", "60 times")])
def test_removed_padding_is_noted(workspace, tmp_path, pad, note):
    rows = [r | {"item_id": str(2 + int(r["item_id"])), "history": [1.0, 2.0]} for r in long_log()]
    manifest = run(workspace, importer(parquet(tmp_path / "a.parquet", rows), pad=pad))
    assert any(note in one for one in manifest.notes)


def test_ids_of_the_items_file_have_their_own_kind(workspace, tmp_path):
    rows = [r | {"item_id": f"{r['item_id']}.0"} for r in long_log()]
    items = tmp_path / "items.csv"
    items.write_text("item_id,c\n1,a\nUNK,b\n")
    run(workspace, importer(csv(tmp_path / "a.csv", rows), items=items))
    assert set(raw_item_ids(workspace, "log")) == {*"0123456", "UNK"}


def test_a_file_given_twice(workspace, tmp_path):
    log = csv(tmp_path / "a.csv", long_log())
    with pytest.raises(ConfigError, match="is given twice"):
        run(workspace, importer([log, log]))


@pytest.mark.parametrize("weight", [1e-46, 1e39, -1])
def test_weights_that_overflow_32_bits(workspace, tmp_path, weight):
    rows = [r | {"weight": 1.0 if i else weight} for i, r in enumerate(long_log())]
    with pytest.raises(DataError, match=r"1 .*'weight' .*: row 1"):
        run(workspace, importer(parquet(tmp_path / "a.parquet", rows)))


def test_columns_with_internal_names(workspace, tmp_path):
    rows = [r | {"row": 7, "_row": 8, "value": 9} for r in long_log()]
    rows[30]["click"] = 5
    with pytest.raises(DataError, match=r"neither 0 nor 1: row 31 \(5\)"):
        run(workspace, importer(parquet(tmp_path / "a.parquet", rows)))


def test_a_folder_and_a_column_may_name_the_same(workspace, tmp_path):
    for day in "12":
        (tmp_path / "log" / f"day={day}").mkdir(parents=True)
        rows = [r | {"day": f"0{day}"} for i, r in enumerate(long_log()) if i % 2 == int(day) - 1]
        csv(tmp_path / "log" / f"day={day}" / "a.csv", rows)
    manifest = run(workspace, importer(str(tmp_path / "log")))
    assert kinds(manifest) == {"day": ("context", "categorical")}


def test_a_folder_that_disagrees_with_a_column(workspace, tmp_path):
    (tmp_path / "log" / "day=2").mkdir(parents=True)
    csv(tmp_path / "log" / "day=2" / "a.csv", [r | {"day": 3} for r in long_log()])
    with pytest.raises(DataError, match=r"60 value.*'day'.*day=2: line 2 \(3\)"):
        run(workspace, importer(str(tmp_path / "log")))


def test_invalid_rows_are_set_aside(workspace, tmp_path):
    bad = {0: {"click": 7}, 1: {"user_id": ""}, 2: {"price": "x"}}
    rows = [r | {"price": 1.5} | bad.get(i, {}) for i, r in enumerate(long_log())]
    file = csv(tmp_path / "a.csv", rows)
    manifest = run(workspace, importer(file, drop_invalid="5%", numeric="price"))
    assert manifest.counts["invalid_dropped"] == 3
    assert manifest.counts["impressions"] == len(rows) - 3
    found = pq.read_table(workspace.data / "log" / "invalid_rows.parquet").to_pylist()
    assert [(row["row_number"], row["column"]) for row in found] == [
        (1, "click"),
        (2, "user_id"),
        (3, "price"),
    ]
    assert json.loads(found[0]["content"])["click"] == "7"
    with pytest.raises(DataError, match=r"4 %.*(.|\n)*'click'(.|\n)*'price'"):
        run(workspace, importer(file, drop_invalid="4%", numeric="price"), name="b")
    with pytest.raises(ConfigError, match="percentage"):
        run(workspace, importer(file, drop_invalid="0.1"), name="b")


def test_valid_rows_leave_no_file(workspace, tmp_path):
    manifest = run(workspace, importer(csv(tmp_path / "a.csv", long_log()), drop_invalid="1%"))
    assert manifest.counts["invalid_dropped"] == 0
    assert not (workspace.data / "log" / "invalid_rows.parquet").exists()


def test_overlapping_row_ids(workspace, tmp_path):
    rows = [r | {"row_id": i} for i, r in enumerate(long_log())]
    files = [csv(tmp_path / "a.csv", rows[:30]), csv(tmp_path / "b.csv", rows[30:])]
    assert run(workspace, importer(files)).fields == ()
    files[1] = csv(tmp_path / "b.csv", rows[28:])
    with pytest.raises(DataError, match=r"2 row_id.*28, 29.*a.csv.*b.csv"):
        run(workspace, importer(files), name="b")


def test_a_file_in_two_arguments(workspace, tmp_path):
    (tmp_path / "log").mkdir()
    file = csv(tmp_path / "log" / "a.csv", long_log())
    with pytest.raises(ConfigError, match=r"a.csv twice"):
        run(workspace, importer([file, str(tmp_path / "log")]))


def test_further_labels_are_outcomes_and_never_inputs(workspace, tmp_path):
    rows = [r | {"bought": r["click"] * (i % 3 == 0)} for i, r in enumerate(long_log())]
    file = csv(tmp_path / "a.csv", rows)
    plain = run(workspace, importer(file, drop="bought"), name="plain")
    manifest = run(workspace, importer(file, labels="bought"))
    assert manifest.labels == ("bought",)
    assert manifest.fields == plain.fields == ()
    assert manifest.content_hash != plain.content_hash
    clicks, bought = (open_impressions(workspace, "log", label) for label in (None, "bought"))
    assert bought.manifest.label == "bought = 1"
    assert bought.manifest.content_hash != manifest.content_hash
    assert 0 < bought.click.sum() == sum(r["bought"] for r in rows) < clicks.click.sum()
    for name in ("history_start", "history_length", "history_items", "prior_clicks"):
        np.testing.assert_array_equal(getattr(bought, name), getattr(clicks, name))
    with pytest.raises(UnknownNameError, match="bought"):
        open_impressions(workspace, "log", "like")


def test_labels_of_sampled_non_clicks_are_0(workspace, tmp_path):
    rows = [r | {"bought": i % 2} for i, r in enumerate(long_log()) if r["click"] in (1, "1")]
    options = {"labels": "bought", "negatives": 1, "drop": "click"}
    run(workspace, importer(csv(tmp_path / "a.csv", rows), **options))
    bought, shown = (open_impressions(workspace, "log", label) for label in ("bought", None))
    assert bought.click[shown.click == 0].sum() == 0 < bought.click.sum()


@pytest.mark.parametrize(
    ("value", "labels", "message"),
    [(2, "bought", "neither 0 nor 1"), ("", "bought", "missing"), (1, "weight", "meaning")],
)
def test_labels_that_cannot_be_used(workspace, tmp_path, value, labels, message):
    rows = [r | {"bought": value, "weight": 1} for r in long_log()]
    with pytest.raises((ConfigError, DataError), match=message):
        run(workspace, importer(csv(tmp_path / "a.csv", rows), labels=labels))


def test_one_damaged_list_does_not_make_a_category(workspace, tmp_path):
    rows = [r | {"tags": "['a', 'b" if i == 3 else "['a', 'b']"} for i, r in enumerate(long_log())]
    file = parquet(tmp_path / "a.parquet", rows)
    with pytest.raises(DataError, match=r"a.parquet: 1 .*'tags'.*row 4 \(\['a', 'b\)"):
        run(workspace, importer(file))
    manifest = run(workspace, importer(file, drop_invalid="2%"), name="b")
    assert kinds(manifest) == {"tags": ("context", "list")}


def test_an_index_of_pandas_is_left_out(workspace, tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(long_log(price=1.5)).sample(frac=1, random_state=0)
    frame.to_csv(tmp_path / "a.csv")
    frame.index = pd.MultiIndex.from_arrays([frame.index, frame.index])
    frame.to_parquet(tmp_path / "b.parquet")
    frame.to_csv(tmp_path / "c.csv", index=False)
    one, two, plain = (
        run(workspace, importer(str(tmp_path / name)), name=name[0])
        for name in ("a.csv", "b.parquet", "c.csv")
    )
    assert one.content_hash == two.content_hash == plain.content_hash
    note = "The index that pandas wrote, a column without a name, is left out."
    assert (one.notes, two.notes, plain.notes) == ((note,), (note,), ())
    kept = importer(str(tmp_path / "a.csv"), rename=["__index_level_0__=place"])
    assert kinds(run(workspace, kept, name="kept"))["place"] == ("context", "categorical")


def test_a_text_file_without_a_header_is_shown(workspace, tmp_path):
    (tmp_path / "a.csv").write_text("7,9,,1\n7,9,x,0\n")
    with pytest.raises(DataError) as error:
        run(workspace, importer(str(tmp_path / "a.csv")))
    assert str(error.value) == (
        f"{tmp_path}/a.csv: the first line must name every column once, but a name is empty: "
        "7,9,,1. If the file has no header, write it again with one."
    )


def test_a_part_of_another_schema(workspace, tmp_path):
    rows = long_log(price=1.5)
    parquet(tmp_path / "a.parquet", rows[:30])
    parquet(tmp_path / "b.parquet", [r | {"price": "1.5"} for r in rows[30:]])
    with pytest.raises(DataError) as error:
        run(workspace, importer(str(tmp_path)))
    assert str(error.value) == (
        "these columns cannot be read as fields:\n"
        f"  - column 'price' has several types: DOUBLE in {tmp_path}/a.parquet, VARCHAR in "
        f"{tmp_path}/b.parquet. Give --numeric price or --categorical price."
    )
    numeric = run(workspace, importer(str(tmp_path), numeric="price"))
    assert kinds(numeric)["price"] == ("context", "numeric")


def test_parts_with_and_without_types_agree(workspace, tmp_path):
    rows = long_log(price=1.5, hour=5)
    parquet(tmp_path / "a.parquet", rows[:30])
    parquet(tmp_path / "b.parquet", [r | {"hour": None} for r in rows[30:40]])
    csv(tmp_path / "c.csv", [r | {"price": 2} for r in rows[40:]])
    manifest = run(workspace, importer(str(tmp_path)))
    assert kinds(manifest) == {
        "price": ("context", "numeric"),
        "hour": ("context", "categorical"),
    }


def test_parquet_with_damaged_rows_is_named(workspace, tmp_path):
    rows = long_log()
    for name in ("it's a", "b"):
        table = pa.Table.from_pylist(rows)
        pq.write_table(table, tmp_path / f"{name}.parquet", compression="none", use_dictionary=[])
    whole = (tmp_path / "b.parquet").read_bytes()
    start = pq.read_metadata(tmp_path / "b.parquet").row_group(0).column(0).data_page_offset
    (tmp_path / "b.parquet").write_bytes(whole[:start] + bytes(40) + whole[start + 40 :])
    with pytest.raises(DataError) as error:
        run(workspace, importer(str(tmp_path)))
    assert re.fullmatch(
        rf"{re.escape(str(tmp_path))}/b\.parquet is damaged: .+\. Copy it again\.", str(error.value)
    )


def test_long_values_and_long_lists_of_problems_are_cut(workspace, tmp_path):
    parts = tmp_path / "parts"
    parts.mkdir()
    for part in range(60):
        csv(parts / f"{part:02}.csv", [r | {"click": "x" * 500} for r in long_log()[:2]])
    with pytest.raises(DataError) as error:
        run(workspace, importer(str(parts)))
    heading, first, *others = str(error.value).splitlines()
    assert heading == "these impressions cannot be used:"
    assert first.startswith(
        f"  - {parts}/00.csv: 2 value(s) of 'click' are neither 0 nor 1: line 2 ({'x' * 77}...), "
    )
    assert len(others) == 50
    assert others[-1] == "  - 10 more problems are not shown."


def test_a_column_that_all_files_lack_is_named_once(workspace, tmp_path):
    for name in "ab":
        csv(tmp_path / f"{name}.csv", [{"user": 1, "item_id": 2, "click": 1}])
    with pytest.raises(DataError) as error:
        run(workspace, importer(str(tmp_path)))
    assert str(error.value) == (
        "these impressions cannot be used:\n"
        f"  - {tmp_path}/a.csv: no column 'user_id'; the columns are user, item_id, click. Did you "
        "mean 'user'? --rename user=user_id"
    )


def test_an_unknown_separator_is_suggested(workspace, tmp_path):
    file = csv(tmp_path / "a.csv", long_log(), "^")
    with pytest.raises(DataError) as error:
        run(workspace, importer(file))
    assert (
        f"  - {file}: no column 'user_id'; the columns are user_id^item_id^click^timestamp. If "
        "another character separates the columns, name it: --separator."
    ) in str(error.value).splitlines()
    assert run(workspace, importer(file, separator="^")).counts["impressions"] == 60


def test_rounded_ids_name_their_column(workspace, tmp_path):
    rows = [r | {"user_id": f"{203252836115 + 10**9 * i:.5e}"} for i, r in enumerate(long_log())]
    file = csv(tmp_path / "a.csv", rows)
    with pytest.raises(DataError) as error:
        run(workspace, importer(file))
    assert str(error.value) == (
        f"{file}, column user_id: all ids in scientific notation, such as 2.03253e+11, are "
        "multiples of 1,000: a program rounded them. Export them again as integers or text."
    )
