import pytest

from ctrbench.errors import StoreError
from ctrbench.locks import lock


def test_link_instead_of_a_lock_is_an_error_and_not_changed(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "a.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(StoreError, match=r"a\.lock is a link or a folder"):
        lock(tmp_path / "a.lock").__enter__()
    assert (tmp_path / "precious").read_text() == "kept"


def test_folder_instead_of_a_lock_is_an_error(tmp_path):
    (tmp_path / "a.lock").mkdir()
    with pytest.raises(StoreError, match=r"a\.lock is a link or a folder"):
        lock(tmp_path / "a.lock").__enter__()


def test_file_instead_of_the_folder_of_locks_is_an_error(tmp_path):
    (tmp_path / "locks").write_text("")
    with pytest.raises(StoreError, match="is a file instead of a folder"):
        lock(tmp_path / "locks" / "a.lock").__enter__()
