from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctrbench import embeddings
from ctrbench.api.datasets import import_log
from ctrbench.datasets import ebnerd
from ctrbench.datasets.ebnerd import EBNeRD, HistoryEnd
from ctrbench.errors import DataError
from ctrbench.importing import Snapshot, build, database
from ctrbench.impressions import check, open_impressions, read_manifest
from ctrbench.workspace import Workspace
from tests.datasets.imports import run
from tests.impressions.logs import rows_of

START = datetime(2023, 5, 18, 7)
IDS, TIMES = pa.list_(pa.int32()), pa.list_(pa.timestamp("us"))
BEHAVIORS = pa.schema(
    {
        "impression_id": pa.uint32(),
        "article_id": pa.int32(),
        "impression_time": pa.timestamp("us"),
        "read_time": pa.float32(),
        "scroll_percentage": pa.float32(),
        "device_type": pa.int8(),
        "article_ids_inview": IDS,
        "article_ids_clicked": IDS,
        "user_id": pa.uint32(),
        "is_sso_user": pa.bool_(),
        "gender": pa.int8(),
        "postcode": pa.int8(),
        "age": pa.int8(),
        "is_subscriber": pa.bool_(),
        "session_id": pa.uint32(),
        "next_read_time": pa.float32(),
        "next_scroll_percentage": pa.float32(),
    }.items()
)
PAST = pa.schema(
    {
        "user_id": pa.uint32(),
        "impression_time_fixed": TIMES,
        "scroll_percentage_fixed": pa.list_(pa.float32()),
        "article_id_fixed": IDS,
        "read_time_fixed": pa.list_(pa.float32()),
    }.items()
)


def view(number, user, hours, shown, clicked, **more):
    """A page view; `article_id` is null, as on the front page."""
    return {
        "impression_id": number,
        "impression_time": START + timedelta(hours=hours),
        "article_ids_inview": shown,
        "article_ids_clicked": clicked,
        "user_id": user,
        "device_type": 1,
        "is_sso_user": True,
        "is_subscriber": False,
        "session_id": number,
        "read_time": 9.0,
        "next_read_time": 20.0 if clicked else None,
        **more,
    }


def past(user, *clicks):
    return {
        "user_id": user,
        "impression_time_fixed": [START + timedelta(hours=hours) for hours, _ in clicks],
        "article_id_fixed": [article for _, article in clicks],
    }


def write(path, rows, schema):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), path)


TRAIN = [
    view(1, 7, 0, [12, 11, 13], [11], age=3),
    view(2, 8, 1, [11, 13], [13]),
    view(3, 7, 160, [13, 12], [12], age=4, is_subscriber=True),  # the last 24 hours: valid
]
TEST = [
    view(4, 7, 168, [11, 14], [14]),
    view(5, 7, 169, [13, 11, 12], [11]),
    view(6, 9, 170, [13, 14], [13]),
]
TRAIN_PAST = [past(7, (-5, 13), (-2, 14)), past(8, (-9, 12))]
TEST_PAST = [past(7, (-2, 14), (0, 11), (160, 12)), past(9, (100, 11))]


def articles():
    return [
        {
            "article_id": number,
            "title": f"Title {number}",
            "premium": False,
            "article_type": "article_default",
            "category": 118,
            "subcategory": [133],
            "topics": ["Sport"],
            "sentiment_label": "Neutral",
            "total_inviews": 5,
            "total_pageviews": 4,
            "total_read_time": 3.0,
        }
        for number in range(11, 16)
    ]


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


@pytest.fixture
def small(tmp_path):
    folder = tmp_path / "data" / "ebnerd_small"
    write(folder / "train/behaviors.parquet", TRAIN, BEHAVIORS)
    write(folder / "train/history.parquet", TRAIN_PAST, PAST)
    write(folder / "validation/behaviors.parquet", TEST, BEHAVIORS)
    write(folder / "validation/history.parquet", TEST_PAST, PAST)
    write(folder / "articles.parquet", articles(), None)
    return folder


def lists(workspace):
    """Period, user, article, click and history of every stored row, sorted."""
    return sorted({(*words[:4], words[5]) for words in rows_of(workspace)})


def test_one_row_per_article_shown_and_the_state_at_the_start_of_the_period(workspace, small):
    manifest = run(workspace, EBNeRD(small))
    assert lists(workspace) == [
        ("test", "7", "11", 0, ("14", "11", "12")),
        ("test", "7", "11", 1, ("14", "11", "12")),
        ("test", "7", "12", 0, ("14", "11", "12")),
        ("test", "7", "13", 0, ("14", "11", "12")),
        ("test", "7", "14", 1, ("14", "11", "12")),
        ("test", "9", "13", 1, ("11",)),
        ("test", "9", "14", 0, ("11",)),
        ("train", "7", "11", 1, ("13", "14")),
        ("train", "7", "12", 0, ("13", "14")),
        ("train", "7", "13", 0, ("13", "14")),
        ("train", "8", "11", 0, ("12",)),
        ("train", "8", "13", 1, ("12",)),
        ("valid", "7", "12", 1, ("13", "14", "11")),
        ("valid", "7", "13", 0, ("13", "14", "11")),
    ]
    assert str(manifest.split) == "given"
    assert "validation folder" in manifest.notes[0]
    assert manifest.counts["history_items"] == 3 + 1 + 1 + 4 + 1 + 5 - 2  # each list once


def test_lists_are_the_same_if_readers_are_aggregated_in_parts(workspace, small, monkeypatch):
    run(workspace, EBNeRD(small), name="whole")
    monkeypatch.setattr(ebnerd, "LISTS_AT_ONCE", 1)
    run(workspace, EBNeRD(small))
    assert rows_of(workspace) == rows_of(workspace, "whole")


def test_no_guard_is_an_error(workspace, small):
    run(workspace, EBNeRD(small))
    wrong = [guard for guard in check(workspace, "log") if guard.outcome == "error"]
    assert [guard.name for guard in wrong] == []


def test_times_are_seconds(workspace, small):
    run(workspace, EBNeRD(small))
    log = open_impressions(workspace, "log")
    assert log.timestamp is not None
    assert log.timestamp.min() == 1684393200  # 2023-05-18 07:00 UTC


def test_outcomes_and_counts_of_the_future_are_no_fields(workspace, small):
    manifest = run(workspace, EBNeRD(small))
    assert {f.name for f in manifest.fields} == {
        *("device_type", "age", "gender", "postcode", "is_sso_user", "is_subscriber", "title"),
        *("premium", "article_type", "category", "subcategory", "topics", "sentiment_label"),
    }
    excluded = next(note for note in manifest.notes if note.startswith("Excluded"))
    timed = [name for name in BEHAVIORS.names if "read_time" in name or "scroll" in name]
    totals = [name for name in articles()[0] if name.startswith("total_")]
    assert len(timed) == 4
    assert all(name in excluded for name in timed + totals)


def test_readers_are_as_of_their_first_impression(workspace, small):
    run(workspace, EBNeRD(small))
    log = open_impressions(workspace, "log")
    assert log.user_fields["age"].tolist() == [0, 1, 0, 0]  # 3 of user 7, never 4


def test_histories_before_each_impression_evaluate_every_list_by_itself(workspace, small):
    importer = EBNeRD(small, histories=HistoryEnd.impression, lists=True)
    with database(workspace) as connection:
        raw = importer.read(connection, None, lambda _: None)
        snapshot = Snapshot("session", "impression_id")
        build(workspace, "log", raw.__class__(**{**vars(raw), "snapshot": snapshot}))
    found = lists(workspace)
    assert ("test", "7", "14", 1, ("14", "11", "12")) in found
    assert ("test", "7", "12", 0, ("14", "11", "12", "14")) in found
    outcome = {g.outcome for g in check(workspace, "log") if g.name == "history strictly before"}
    assert outcome == {"ok"}


def test_ids_of_lists_are_no_field(workspace, small):
    usual = run(workspace, EBNeRD(small))
    manifest = run(workspace, EBNeRD(small, lists=True), name="with_lists")
    assert manifest.fields == usual.fields
    assert "impression_id" not in {field.name for field in manifest.fields}


def test_clicks_of_the_period_in_history_are_excluded_and_counted(workspace, small):
    write(small / "train/history.parquet", [past(7, (-2, 14), (0, 11)), past(8)], PAST)
    manifest = run(workspace, EBNeRD(small))
    assert any(
        "Clicks of history.parquet after their period begins: 1, excluded." in note
        for note in manifest.notes
    )
    assert ("train", "7", "12", 0, ("14",)) in lists(workspace)


def test_a_user_with_two_rows_of_history_is_refused(workspace, small):
    write(small / "train/history.parquet", [*TRAIN_PAST, TRAIN_PAST[0]], PAST)
    with pytest.raises(DataError, match=r"train.history.parquet: 1 row repeats a user"):
        run(workspace, EBNeRD(small))


def test_repeated_and_unshown_articles_are_counted(workspace, small):
    rows = [view(9, 8, 2, [11, 11, 12], [15]), *TRAIN]
    write(small / "train/behaviors.parquet", rows, BEHAVIORS)
    manifest = run(workspace, EBNeRD(small))
    assert any("Repeated articles of lists in train: 1, merged." in note for note in manifest.notes)
    assert any(
        "Clicked articles in train that are not in the list shown: 1." in note
        for note in manifest.notes
    )


def test_another_header_is_printed_beside_the_expected_one(workspace, small):
    write(small / "train/history.parquet", [{"user_id": 7, "articles": [1]}], None)
    with pytest.raises(DataError, match=r"(?s)found: .*user_id, articles.*article_id_fixed"):
        run(workspace, EBNeRD(small))


def test_other_types_are_refused(workspace, small):
    rows = [{**r, "impression_time": 1684393200} for r in TRAIN]
    schema = BEHAVIORS.set(2, pa.field("impression_time", pa.int64()))
    write(small / "train/behaviors.parquet", rows, schema)
    with pytest.raises(DataError, match="'impression_time' has type BIGINT, expected TIMESTAMP"):
        run(workspace, EBNeRD(small))


def test_periods_that_overlap_are_refused(workspace, small):
    write(small / "validation/behaviors.parquet", [view(4, 7, 100, [11, 14], [14])], BEHAVIORS)
    with pytest.raises(DataError, match=r"train.behaviors.parquet ends at 2023-05-24 23:00:00"):
        run(workspace, EBNeRD(small))


def test_image_vectors_beside_the_folder_are_a_version(workspace, small):
    path = small.parent / "Ekstra_Bladet_image_embeddings" / "image_embeddings.parquet"
    write(path, [{"article_id": 11, "image_embedding": [0.5, 1.0]}], None)
    with database(workspace) as connection:
        raw = EBNeRD(small).read(connection, None, lambda _: None)
    (version,) = raw.versions
    assert version.source.vectors == path
    assert version.source.ids_column == "article_id"


def test_without_image_vectors_a_note_says_so(workspace, small):
    assert any("--vectors" in note for note in run(workspace, EBNeRD(small)).notes)


def test_vectors_are_added_by_a_second_import_if_their_file_was_damaged(workspace, small):
    path = small / "image_embeddings.parquet"
    rows = [{"article_id": number, "image_embedding": [0.5, number]} for number in range(11, 16)]
    write(path, rows, None)
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(200) + whole[204:])  # the first pages
    with pytest.raises(DataError, match=r"(?s)image_embeddings.*'ebnerd' is imported.*Repeat the"):
        import_log("ebnerd", {"source": small}, progress=False, workspace=workspace)
    assert embeddings.names(workspace, "ebnerd") == []
    path.write_bytes(whole)
    again = import_log("ebnerd", {"source": small}, progress=False, workspace=workspace)
    assert (again.new, len(again.versions)) == (False, 1)
    assert embeddings.names(workspace, "ebnerd") == ["image"]


def test_the_note_on_missing_vectors_disappears_when_they_are_added(workspace, small):
    import_log("ebnerd", {"source": small}, progress=False, workspace=workspace)
    assert any("no image vectors" in note for note in read_manifest(workspace, "ebnerd").notes)
    rows = [{"article_id": 11, "image_embedding": [0.5, 1.0]}]
    write(small / "image_embeddings.parquet", rows, None)
    import_log("ebnerd", {"source": small}, progress=False, workspace=workspace)
    assert not any("no image vectors" in note for note in read_manifest(workspace, "ebnerd").notes)
