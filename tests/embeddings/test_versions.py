import errno
from pathlib import Path

import numpy as np
import pytest

from ctrbench import embeddings
from ctrbench.atomic import PARTIAL
from ctrbench.embeddings import versions
from ctrbench.errors import ConfigError, DataError, StoreError, UnknownNameError


def test_version_is_a_read_only_memory_map(add, workspace):
    add("raw", {"7": [1, 2]})
    table = embeddings.open_version(workspace, "tiny", "raw", "i")
    assert isinstance(table.vectors, np.memmap)
    assert not table.vectors.flags.writeable
    np.testing.assert_array_equal(table.vectors[:3], [[0, 0], [1, 2], [0, 0]])
    np.testing.assert_array_equal(table.has_vector, [0, 1, 0, 0, 0, 0, 0])


def test_same_name_and_content_succeeds(add, workspace):
    first, new = add("raw", {"7": [1, 2]})
    again, new_again = add("raw", {"7": [1, 2]})
    assert (new, new_again) == (True, False)
    assert again == first == embeddings.read_manifest(workspace, "tiny", "raw")


def test_same_name_other_content_is_refused(add, workspace):
    add("raw", {"7": [1, 2]})
    with pytest.raises(ConfigError, match=r"'raw'(.|\s)* remove raw"):
        add("raw", {"7": [1, 3]})
    assert [path.name for path in (workspace.embeddings / "tiny").iterdir()] == ["raw"]
    assert embeddings.open_version(workspace, "tiny", "raw").vectors[1, 1] == 2


def test_names_exclude_incomplete_versions(add, workspace):
    add("b", {"7": [1]})
    add("a", {"7": [1]})
    unfinished = workspace.embeddings / "tiny" / f"{PARTIAL}x"
    unfinished.mkdir()
    (unfinished / versions.MANIFEST).touch()
    assert embeddings.names(workspace, "tiny") == ["a", "b"]
    assert embeddings.datasets(workspace) == ["tiny"]
    assert embeddings.names(workspace, "other") == []


def test_unknown_version_suggests_the_nearest(add, workspace):
    add("raw", {"7": [1]})
    with pytest.raises(UnknownNameError, match="Did you mean 'raw'"):
        embeddings.open_version(workspace, "tiny", "row")
    with pytest.raises(ConfigError, match=r"embedding version name '../tiny/raw' "):
        embeddings.open_version(workspace, "tiny", "../tiny/raw")
    with pytest.raises(ConfigError, match=r"data set name '../x' "):
        embeddings.remove_version(workspace, "../x", "raw")


@pytest.mark.parametrize("name", ["../raw", "a/b", "raw@shuffled", "", "none"])
def test_unsuitable_name(workspace, log, name):
    source = embeddings.Source(Path("never-read.npz"))
    with pytest.raises(ConfigError, match="embedding version name"):
        embeddings.add_version(workspace, log, [], name, source)
    assert not workspace.home.exists()


def test_version_of_other_items(add, workspace):
    add("raw", {"7": [1]})
    with pytest.raises(DataError, match=r"'raw' .*'tiny'"):
        embeddings.open_version(workspace, "tiny", "raw", items_hash="j")


@pytest.mark.parametrize("file", [versions.VECTORS, versions.MASK])
def test_damaged_table(add, workspace, file):
    add("raw", {"7": [1]})
    path = workspace.embeddings / "tiny" / "raw" / file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match="raw"):
        embeddings.open_version(workspace, "tiny", "raw")


def test_table_of_another_shape(add, workspace):
    add("raw", {"7": [1]})
    np.save(workspace.embeddings / "tiny" / "raw" / versions.VECTORS, np.zeros((7, 3), np.float32))
    with pytest.raises(StoreError, match=r"float32 \(7, 3\).* float32 \(7, 1\)"):
        embeddings.open_version(workspace, "tiny", "raw")


def test_damaged_manifest_can_be_removed(add, workspace):
    add("raw", {"7": [1]})
    (workspace.embeddings / "tiny" / "raw" / versions.MANIFEST).write_text("{")
    with pytest.raises(StoreError, match=r"manifest.json"):
        embeddings.read_manifest(workspace, "tiny", "raw")
    embeddings.remove_version(workspace, "tiny", "raw")
    assert not list((workspace.embeddings / "tiny").iterdir())


def test_full_disk_leaves_nothing_behind(add, workspace, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ctrbench.embeddings.joining.new_table", full)
    with pytest.raises(StoreError, match="no space left"):
        add("raw", {"7": [1]})
    assert not list(workspace.home.rglob("*"))


def test_remove_refuses_while_records_exist(add, workspace):
    add("raw", {"7": [1]})
    add("raw2", {"7": [2]})
    record = workspace.results / "tiny" / "raw@shuffled" / "vector" / "abc.json"
    record.parent.mkdir(parents=True)
    record.touch()
    assert embeddings.stored_records(workspace, "tiny", "raw2") == []
    with pytest.raises(ConfigError, match=r"1 stored record uses .* --force"):
        embeddings.remove_version(workspace, "tiny", "raw")
    embeddings.remove_version(workspace, "tiny", "raw", force=True)
    assert embeddings.names(workspace, "tiny") == ["raw2"]
    assert record.exists()


def test_remove_unknown_version(workspace):
    with pytest.raises(UnknownNameError, match="known: none yet"):
        embeddings.remove_version(workspace, "tiny", "raw")


def test_remove_a_version_that_is_a_link(add, workspace, tmp_path):
    add("raw", {"7": [1]})
    folder = workspace.embeddings / "tiny" / "raw"
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    embeddings.remove_version(workspace, "tiny", "raw")
    assert not list((workspace.embeddings / "tiny").iterdir())
    assert (tmp_path / "elsewhere" / versions.VECTORS).exists()


def test_names_are_equal_up_to_unicode_form(add, workspace):
    add("größe", {"7": [1]})
    assert embeddings.names(workspace, "tiny") == ["größe"]
    decomposed = "gro\u0308ße"
    assert embeddings.open_version(workspace, "tiny", decomposed).vectors[1, 0] == 1
    assert add(decomposed, {"7": [1]})[1] is False
    embeddings.remove_version(workspace, "tiny", decomposed)
    assert embeddings.names(workspace, "tiny") == []
