import shutil

import pytest

from ctrbench.errors import ConfigError, StoreError, UnknownNameError
from ctrbench.impressions import (
    names,
    open_impressions,
    opening,
    raw_item_ids,
    read_manifest,
    remove,
    vocabulary,
)
from ctrbench.workspace import Workspace
from tests.impressions.logs import build_log, long_log


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(tmp_path)
    build_log(workspace, long_log())
    return workspace


def test_names_exclude_incomplete_data_sets(workspace):
    (workspace.data / ".partial-x").mkdir()
    (workspace.data / ".partial-x" / "manifest.json").write_text("{}")
    assert names(workspace) == ["log"]
    assert raw_item_ids(workspace, "log") == list("0123456")


def test_unknown_names(workspace):
    with pytest.raises(UnknownNameError, match="Did you mean 'log'"):
        read_manifest(workspace, "lag")
    with pytest.raises(ConfigError, match=r"\.\./log"):
        open_impressions(workspace, "../log")
    with pytest.raises(UnknownNameError, match="no categorical or list field 'year'"):
        vocabulary(workspace, "log", "year")


def test_damaged_tables_are_named_and_can_be_removed(workspace):
    shutil.rmtree(workspace.cache)
    path = workspace.data / "log" / "impressions.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreError, match="missing or damaged"):
        open_impressions(workspace, "log")
    (workspace.data / "log" / "items.parquet").unlink()
    with pytest.raises(StoreError, match=r"items.parquet is missing or damaged .* import it again"):
        raw_item_ids(workspace, "log")
    (workspace.data / "log" / "manifest.json").write_text("{}")
    with pytest.raises(StoreError, match="damaged"):
        read_manifest(workspace, "log")
    remove(workspace, "log")
    assert names(workspace) == []


def test_arrays_of_an_import_are_not_derived_again(workspace, monkeypatch):
    monkeypatch.setattr(opening, "derive", None)
    assert len(open_impressions(workspace, "log").click) == 60


def test_derived_folder_that_lacks_a_column_is_named(workspace):
    log = open_impressions(workspace, "log")
    (workspace.cache / "data" / log.manifest.content_hash / "impressions.click.npy").unlink()
    with pytest.raises(
        StoreError, match=r"lacks the column 'impressions.click': delete the folder"
    ):
        open_impressions(workspace, "log")


def test_remove_deletes_derived_arrays(workspace):
    open_impressions(workspace, "log")
    remove(workspace, "log")
    assert list(workspace.data.iterdir()) == []
    assert list((workspace.cache / "data").iterdir()) == []
