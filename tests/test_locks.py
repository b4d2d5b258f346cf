import pytest

from ctrbench.errors import StoreError
from ctrbench.locks import lock


def test_link_in_place_of_a_lock_is_refused_and_left_alone(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "a.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(StoreError, match=r"a\.lock is a link or a folder"):
        lock(tmp_path / "a.lock").__enter__()
    assert (tmp_path / "precious").read_text() == "kept"


def test_folder_in_place_of_a_lock_is_refused(tmp_path):
    (tmp_path / "a.lock").mkdir()
    with pytest.raises(StoreError, match=r"a\.lock is a link or a folder"):
        lock(tmp_path / "a.lock").__enter__()


def test_folder_of_locks_that_is_a_file(tmp_path):
    (tmp_path / "locks").write_text("")
    with pytest.raises(StoreError, match="is a file instead of a folder"):
        lock(tmp_path / "locks" / "a.lock").__enter__()
