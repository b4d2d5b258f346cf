import csv
from datetime import date, timedelta

import pytest

from ctrbench.datasets._negatives import Popularity
from ctrbench.datasets.hm import ARTICLES, CUSTOMERS, HM
from ctrbench.errors import DataError
from ctrbench.impressions import open_impressions, raw_item_ids, vocabulary
from ctrbench.workspace import Workspace
from tests.datasets.imports import run

LAST = date(2020, 9, 22)
PEOPLE = [f"{number:064x}" for number in range(1, 6)]
CLOTHES = [f"01{number:08d}" for number in range(40)]
HEADER = ["t_dat", "customer_id", "article_id", "price", "sales_channel_id"]


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def purchases():
    return [
        [
            LAST - timedelta(days=day),
            person,
            CLOTHES[(day + 3 * at) % 40],
            0.05 + 0.001 * at,
            1 + at % 2,
        ]
        for day in range(28)
        for at, person in enumerate(PEOPLE)
    ]


def write(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def articles(ids):
    known = {"product_code": "0108775", "colour_group_name": "Black", "detail_desc": 'A "T", soft'}
    return [[known.get(name, name[:3]) for name in ARTICLES[1:]] for _ in ids]


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "hm"
    write(folder / "transactions_train.csv", HEADER, purchases())
    rows = [[one, *row] for one, row in zip(CLOTHES, articles(CLOTHES), strict=True)]
    write(folder / "articles.csv", ARTICLES, rows)
    values = {PEOPLE[0]: ["1.0", "1.0", "ACTIVE", "NONE", 24], PEOPLE[1]: ["", "", "", "None", ""]}
    everyone = [[one, *values.get(one, ["", "", "ACTIVE", "Monthly", 30]), "a"] for one in PEOPLE]
    write(folder / "customers.csv", CUSTOMERS, everyone)
    return folder


def test_the_week_after_the_log(workspace, source):
    manifest = run(workspace, HM(source, negatives=2))
    assert manifest.counts["clicks"] == 28 * 5
    assert manifest.counts["drawn_negatives"] == 2 * 28 * 5
    log = open_impressions(workspace, "log")
    first, last = 86_400, 28 * 86_400
    days = {
        name: {int(t - log.timestamp[0] + first) // first for t in log.timestamp[start:stop]}
        for name, (start, stop) in manifest.periods.items()
    }
    assert days == {"train": {*range(1, 15)}, "valid": {*range(15, 22)}, "test": {*range(22, 29)}}
    assert log.timestamp[-1] - log.timestamp[0] == last - first
    assert any("7 days" in note for note in manifest.notes)
    assert any("sampled" in note for note in manifest.notes)


def test_leading_zeros_stay(workspace, source):
    run(workspace, HM(source))
    assert raw_item_ids(workspace, "log") == CLOTHES
    assert vocabulary(workspace, "log", "product_code") == ["0108775"]


def test_a_lost_zero_is_named(workspace, source):
    shorter = [[*row[:2], row[2][1:], *row[3:]] for row in purchases()]
    write(source / "transactions_train.csv", HEADER, shorter)
    with pytest.raises(DataError, match=r"9 digits.*leading zero"):
        run(workspace, HM(source))


def test_none_and_missing_differ(workspace, source):
    manifest = run(workspace, HM(source))
    assert vocabulary(workspace, "log", "fashion_news_frequency") == ["Monthly", "NONE", "None"]
    kinds = {field.name: field.kind for field in manifest.fields if field.of == "user"}
    assert kinds["age"] == "numeric"
    assert kinds["Active"] == "categorical"


def test_price_and_channel_would_give_the_label_away(workspace, source):
    manifest = run(workspace, HM(source))
    assert not [field for field in manifest.fields if field.of == "context"]
    assert any("price and sales_channel_id" in note for note in manifest.notes)


def test_advice_names_no_option_of_another_importer(workspace, source):
    rows = purchases()
    rows[3] = ["2020-13-01", *rows[3][1:]]
    write(source / "transactions_train.csv", HEADER, rows)
    with pytest.raises(DataError) as error:
        run(workspace, HM(source))
    assert str(error.value) == (
        "these purchases cannot be used:\n"
        f"  - {source}/transactions_train.csv: 1 value(s) of 't_dat' are not dates like the "
        "others: line 5 (2020-13-01); use the official file"
    )


def test_repeated_rows_are_counted(workspace, source):
    rows = purchases()
    write(source / "transactions_train.csv", HEADER, [*rows, rows[0], rows[0], rows[7]])
    manifest = run(workspace, HM(source))
    assert manifest.counts["repeated_rows"] == 3
    assert manifest.counts["clicks"] == len(rows)
    assert any("(a quantity of several): 3;" in note for note in manifest.notes)


def test_purchases_of_a_day_are_not_before_each_other(workspace, source):
    rows = [*purchases(), [LAST, PEOPLE[0], CLOTHES[39], 0.01, 1]]
    write(source / "transactions_train.csv", HEADER, rows)
    run(workspace, HM(source, negatives_by=Popularity.uniform))
    log = open_impressions(workspace, "log")
    same = (log.user_id == 1) & (log.timestamp == log.timestamp[-1])
    assert len(set(log.history_length[same])) == 1


def test_another_split_and_the_last_days(workspace, source):
    manifest = run(workspace, HM(source, last_days=21), "time:20/40/20/20")
    assert manifest.counts["clicks"] == 21 * 5
    assert str(manifest.split).startswith("time")
    assert not any("competition" in note for note in manifest.notes)


def test_pictures_are_in_folders_of_three_digits(workspace, source):
    for one in (*CLOTHES[:3], "0999999999"):
        path = source / "images" / one[:3] / f"{one}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"picture")
    manifest = run(workspace, HM(source, images=source / "images"))
    assert manifest.counts["images"] == 3  # not every article has one
    assert manifest.counts["images_unmatched"] == 1


def test_another_header_is_printed(workspace, source):
    write(source / "articles.csv", ["article_id", "name"], [[one, "a"] for one in CLOTHES])
    with pytest.raises(DataError) as raised:
        run(workspace, HM(source))
    assert "article_id, name" in str(raised.value)
    assert ", ".join(ARTICLES) in str(raised.value)


def test_archives_are_named(workspace, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "transactions_train.csv.zip").write_text("x")
    with pytest.raises(DataError, match=r"Unpack transactions_train\.csv\.zip"):
        run(workspace, HM(tmp_path / "a"))
