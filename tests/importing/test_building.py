import json

import numpy as np
import pytest

from ctrbench.errors import ConfigError, DataError, StoreError
from ctrbench.impressions import names, open_impressions, read_manifest, vocabulary
from ctrbench.schema import Field, Ragged
from ctrbench.workspace import Workspace
from tests.impressions.logs import build_log, long_log

FIELDS = (
    Field(name="title", of="item", kind="text"),
    Field(name="genres", of="item", kind="list"),
    Field(name="year", of="item", kind="categorical"),
    Field(name="age", of="user", kind="numeric"),
    Field(name="hour", of="context", kind="categorical"),
)


def items(title="t"):
    genres = [["b", "a"], [], ["a"], None]
    return [
        {
            "item_id": str(i),
            "title": f"{title}{i}",
            "genres": genres[i % 4],
            "year": [None, "1999"][i % 2],
        }
        for i in range(1, 9)
    ]


def users():
    return [{"user_id": str(i), "age": float(i) if i else None} for i in range(3)]


def with_fields(workspace, title="t", **raw):
    rows = [r | {"hour": str(r["timestamp"] % 12)} for r in long_log()]
    tables = {"items": items(title), "users": users()}
    return build_log(workspace, rows, tables=tables, fields=FIELDS, **raw)


def test_fields_are_codes_of_their_vocabulary(tmp_path):
    workspace = Workspace(tmp_path)
    manifest = with_fields(workspace)
    log = open_impressions(workspace, "log")
    assert [(f.name, f.size) for f in manifest.fields] == [
        ("age", 0),
        ("genres", 2),
        ("title", 0),
        ("year", 1),
        ("hour", 12),
    ]
    assert vocabulary(workspace, "log", "genres") == ["a", "b"]
    assert vocabulary(workspace, "log", "hour") == [str(hour) for hour in range(12)]
    genres = log.item_fields["genres"]
    assert isinstance(genres, Ragged)
    # raw ids 0, 1, ..., 8 are item_id 1, ..., 9; 0 is not in the items file; row 0 is unknown
    assert genres.offsets.tolist() == [0, 0, 0, 0, 1, 1, 3, 3, 4, 4, 6]
    assert genres.values.tolist() == [1, 2, 1, 1, 2, 1]
    assert log.item_fields["year"][:5].tolist() == [0, 0, 1, 0, 1]
    np.testing.assert_array_equal(log.user_fields["age"], [np.nan, np.nan, 1, 2, *[np.nan] * 3])
    hours = np.asarray(log.context_fields["hour"])
    assert [vocabulary(workspace, "log", "hour")[code - 1] for code in hours] == [
        str(time % 12) for time in np.asarray(log.timestamp)
    ]
    assert "title" not in log.item_fields
    assert manifest.counts["items_unlisted"] == 1


def test_the_same_content_is_unchanged(tmp_path):
    workspace = Workspace(tmp_path)
    manifest = with_fields(workspace)
    before = {path: path.stat().st_mtime_ns for path in workspace.data.rglob("*")}
    assert with_fields(workspace) == manifest
    assert before == {path: path.stat().st_mtime_ns for path in workspace.data.rglob("*")}


def test_other_content_under_a_name_is_refused(tmp_path):
    workspace = Workspace(tmp_path)
    with_fields(workspace)
    with pytest.raises(DataError, match=r"exists with other content \(title differ\)"):
        with_fields(workspace, title="u")
    with pytest.raises(DataError, match="content_hash, items_hash differ"):
        build_log(workspace, long_log(length=20))
    assert names(workspace) == ["log"]


def test_titles_do_not_enter_the_content_hash(tmp_path):
    workspace = Workspace(tmp_path)
    one = with_fields(workspace)
    assert with_fields(workspace, title="u", name="other").content_hash == one.content_hash


def test_arrays_are_rebuilt_from_the_tables(tmp_path):
    workspace = Workspace(tmp_path / "a")
    with_fields(workspace)
    old = open_impressions(workspace, "log")
    (tmp_path / "a").rename(tmp_path / "b")
    moved = Workspace(tmp_path / "b")
    for path in sorted(moved.cache.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    new = open_impressions(moved, "log")
    assert new.history_items.tolist() == old.history_items.tolist()
    assert new.manifest == old.manifest


def test_weights_are_kept(tmp_path):
    rows = [r | {"weight": 0.5 + r["timestamp"]} for r in long_log()]
    manifest = build_log(Workspace(tmp_path), rows)
    log = open_impressions(Workspace(tmp_path), "log")
    assert manifest.has_weight
    assert log.weight is not None
    assert log.timestamp is not None
    np.testing.assert_array_equal(log.weight, log.timestamp + 0.5)


@pytest.mark.parametrize("name", ["a/b", "../up", "", "none"])
def test_a_name_is_not_a_path(tmp_path, name):
    with pytest.raises(ConfigError, match="name"):
        build_log(Workspace(tmp_path), long_log(), name=name)
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file instead of a folder"):
        build_log(Workspace(tmp_path / "file"), long_log())


def test_a_folder_that_is_not_a_data_set_is_refused(tmp_path):
    (tmp_path / "data" / "log").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"data.log is not a data set"):
        build_log(Workspace(tmp_path), long_log())


def test_the_manifest_is_json(tmp_path):
    manifest = with_fields(Workspace(tmp_path))
    stored = json.loads((tmp_path / "data" / "log" / "manifest.json").read_text())
    assert stored["content_hash"] == manifest.content_hash
    assert read_manifest(Workspace(tmp_path), "log") == manifest


def test_a_repeated_import_updates_the_findings(tmp_path):
    rows = [r | {"history": ["9", r["item_id"]]} for r in long_log()]
    made = build_log(Workspace(tmp_path), rows)
    assert made.findings
    path = tmp_path / "data" / "log" / "manifest.json"
    older = json.loads(path.read_text(encoding="utf-8"))
    del older["findings"]
    path.write_text(json.dumps(older), encoding="utf-8")
    assert read_manifest(Workspace(tmp_path), "log").findings == ()
    assert build_log(Workspace(tmp_path), rows) == made
    assert read_manifest(Workspace(tmp_path), "log") == made
