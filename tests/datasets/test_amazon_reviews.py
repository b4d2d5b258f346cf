import gzip
import json
import re

import pytest

from ctrbench.datasets.amazon_reviews import META, REVIEW, TEST_MS, VALID_MS, AmazonReviews
from ctrbench.errors import ConfigError, DataError
from ctrbench.impressions import open_impressions, raw_item_ids
from ctrbench.impressions.columns import strings
from ctrbench.workspace import Workspace
from tests.datasets.imports import run

PRODUCTS = ["000171032X", "0123456789", *(f"B00{number:07d}" for number in range(30))]
PEOPLE = ["AE", "AF", "AG", "AH"]
DAY = 86_400_000


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def reviews():
    """Rows of user, item, rating, milliseconds: 8 of train, 2 of valid and 2 of test per user."""
    times = [VALID_MS - DAY * (9 - at) for at in range(8)]
    times += [VALID_MS, VALID_MS + DAY, TEST_MS, TEST_MS + DAY]
    return [
        (person, PRODUCTS[(3 * at + step) % 20], 1.0 + (at + step) % 5, time + at)
        for at, person in enumerate(PEOPLE)
        for step, time in enumerate(times)
    ]


def text(path, rows, header="user_id,parent_asin,rating,timestamp"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")


@pytest.fixture
def source(tmp_path):
    """The official layout: benchmark/5core/timestamp/<Category>.<part>.csv."""
    folder = tmp_path / "benchmark" / "5core" / "timestamp"
    rows = reviews()
    bounds = {"train": (0, VALID_MS), "valid": (VALID_MS, TEST_MS), "test": (TEST_MS, 10**15)}
    for part, (low, high) in bounds.items():
        text(folder / f"All_Beauty.{part}.csv", [row for row in rows if low <= row[3] < high])
    return folder


def raw_reviews(path, rows):
    known = dict.fromkeys(REVIEW, "a") | {"images": [], "helpful_vote": 0}
    known["verified_purchase"] = True
    names = ["user_id", "parent_asin", "rating", "timestamp"]
    made = [known | dict(zip(names, row, strict=True)) for row in rows]
    content = "\n".join(map(json.dumps, made)).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def products(path, more=()):
    picture = {"thumb": "t", "large": "l", "hi_res": None}
    values = {
        PRODUCTS[0]: {
            "price": 5.5,
            "images": [picture, picture | {"variant": "MAIN", "large": "m"}],
        },
        PRODUCTS[1]: {"price": "from 1,112.99", "images": [{"thumb": "only"}]},
        PRODUCTS[2]: {"price": "—", "images": []},
        PRODUCTS[3]: {"price": None, "images": [picture | {"hi_res": "h"}], "author": None},
    }
    made = []
    for item in [*values, "UNKNOWN", *more]:
        one = dict.fromkeys(META) | {"title": f"The {item}", "categories": ["Beauty", "Hair"]}
        one |= {"main_category": "All Beauty", "store": "", "average_rating": 4.5}
        made.append(one | {"images": [], "parent_asin": item} | values.get(item, {}))
    path.write_text("\n".join(map(json.dumps, made)))
    return path


def test_the_official_periods(workspace, source):
    manifest = run(workspace, AmazonReviews(source, "All_Beauty", negatives=1))
    rows = {name: stop - start for name, (start, stop) in manifest.periods.items()}
    assert rows == {"train": 64, "valid": 16, "test": 16}  # a non-click per review
    assert manifest.counts["clicks"] == 48
    assert any("1628643414042" in note for note in manifest.notes)
    assert any("sampled" in note for note in manifest.notes)
    assert open_impressions(workspace, "log").timestamp[0] == VALID_MS - 9 * DAY


def test_rating_only_is_divided_at_the_same_times(workspace, source, tmp_path):
    text(tmp_path / "whole" / "All_Beauty.csv", reviews())
    one = run(workspace, AmazonReviews(source, "All_Beauty"))
    two = run(workspace, AmazonReviews(tmp_path / "whole", "All_Beauty"), name="whole")
    assert one.content_hash == two.content_hash


def test_ids_are_text(workspace, source):
    run(workspace, AmazonReviews(source, "All_Beauty"))
    assert raw_item_ids(workspace, "log")[:2] == PRODUCTS[:2]


def test_leave_last_out_is_named(workspace, source):
    rows = reviews()
    last = [rows[12 * at + 11] for at in range(4)]
    before = [rows[12 * at + 10] for at in range(4)]
    folder = source.parent / "last_out_w_his"
    parts = {"train": [r for r in rows if r not in last + before], "valid": before, "test": last}
    for part, these in parts.items():
        header = "user_id,parent_asin,rating,timestamp,history"
        made = [[*row, "B01 B02" if part != "train" else ""] for row in these]
        text(folder / f"All_Beauty.{part}.csv", made, header)
    manifest = run(workspace, AmazonReviews(folder, "All_Beauty", negatives=1))
    assert any("leave-last-out" in note for note in manifest.notes)
    assert any("history is not used" in note for note in manifest.notes)
    assert manifest.history == "derived"


def test_a_threshold_replaces_sampling(workspace, source):
    manifest = run(workspace, AmazonReviews(source, "All_Beauty", threshold=4))
    assert manifest.label == "rating >= 4"
    assert manifest.counts["clicks"] == sum(row[2] >= 4 for row in reviews())
    assert manifest.counts["impressions"] == 48


@pytest.mark.parametrize("name", ["All_Beauty.jsonl", "All_Beauty.jsonl.gz"])
def test_faults_of_raw_reviews_are_counted(workspace, tmp_path, name):
    rows = reviews()
    faults = [("AE", PRODUCTS[25], 5.0, -62135596800), ("AF", PRODUCTS[26], 0.0, VALID_MS)]
    (tmp_path / "raw").mkdir()
    later = (*rows[0][:3], rows[0][3] + 5)
    raw_reviews(tmp_path / "raw" / name, [*rows, rows[3], later, *faults])
    manifest = run(workspace, AmazonReviews(tmp_path / "raw", "All_Beauty", negatives=1))
    assert manifest.counts["negative_times"] == 1
    assert manifest.counts["zero_ratings"] == 1
    assert manifest.counts["repeated_reviews"] == 2
    assert manifest.counts["clicks"] == len(rows)
    assert sum(note.startswith(("1 ", "2 ")) for note in manifest.notes) == 3


def test_items(workspace, source, tmp_path):
    meta = products(tmp_path / "meta_All_Beauty.jsonl")
    manifest = run(workspace, AmazonReviews(source, "All_Beauty", meta=meta))
    ids = raw_item_ids(workspace, "log")
    assert "UNKNOWN" not in ids  # described, but never reviewed
    urls = list(strings(workspace.data / "log" / "items.parquet", "image_url"))
    found = dict(zip(ids, urls, strict=True))
    assert [found[item] for item in PRODUCTS[:5]] == ["m", "only", None, "h", None]
    prices = open_impressions(workspace, "log").item_fields["price"]
    by_id = dict(zip(ids, prices[1:].tolist(), strict=True))
    assert [by_id[item] for item in PRODUCTS[:2]] == [5.5, pytest.approx(1112.99)]
    names = {field.name for field in manifest.fields}
    assert names == {"main_category", "store", "categories", "price", "title", "image_url"}
    assert any("4 of 20 items" in note and "3 have" in note for note in manifest.notes)
    assert any("without a number: 1, missing" in note for note in manifest.notes)
    assert any("average_rating" in note for note in manifest.notes)


@pytest.mark.parametrize("name", ["All_Beauty.jsonl", "All_Beauty.jsonl.gz"])
def test_a_truncated_file_is_named(workspace, tmp_path, name):
    path = tmp_path / "raw" / name
    path.parent.mkdir()
    raw_reviews(path, [*reviews()] * 200)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=re.escape(str(path))):
        run(workspace, AmazonReviews(path.parent, "All_Beauty"))


def test_mistakes(workspace, source, tmp_path):
    with pytest.raises(DataError, match=r"Did you mean .*timestamp"):
        run(workspace, AmazonReviews(tmp_path / "benchmark", "All_Beauty"))
    with pytest.raises(ConfigError, match="--threshold nan"):
        run(workspace, AmazonReviews(source, "All_Beauty", threshold=float("nan")))
    meta = tmp_path / "meta.jsonl"
    meta.write_text(json.dumps({"asin": "B", "title": "x"}))
    with pytest.raises(DataError, match=r"(?s)found:    asin, title.*expected: main_category"):
        run(workspace, AmazonReviews(source, "All_Beauty", meta=meta))
    seconds = [(*row[:3], row[3] // 1000) for row in reviews()]
    text(tmp_path / "b" / "All_Beauty.csv", seconds)
    with pytest.raises(DataError, match="milliseconds"):
        run(workspace, AmazonReviews(tmp_path / "b", "All_Beauty"))
    text(tmp_path / "b" / "All_Beauty.csv", reviews(), "user_id,asin,rating,timestamp")
    with pytest.raises(DataError, match="asin"):
        run(workspace, AmazonReviews(tmp_path / "b", "All_Beauty"))
