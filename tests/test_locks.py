import errno
import fcntl
import os
import threading

import numpy as np
import pytest

from ctrbench.atomic import NO_LOCKS, HeldError, is_held
from ctrbench.caches import kept
from ctrbench.errors import StoreError
from ctrbench.importing import database
from ctrbench.locks import check_locks, lock
from ctrbench.workspace import Workspace


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


def test_a_held_lock_is_refused_or_waited_for(tmp_path):
    path, order = tmp_path / "a.lock", []

    def waits():
        with lock(path):
            order.append("second")

    with lock(path):
        assert is_held(path)
        with pytest.raises(HeldError), lock(path, wait=False):
            pytest.fail("two hold the lock")
        other = threading.Thread(target=waits)
        other.start()
        order.append("first")
    other.join()
    assert order == ["first", "second"]
    assert not is_held(path)


def test_a_lock_file_that_its_holder_deletes_is_created_again(tmp_path, monkeypatch):
    path, flock, calls = tmp_path / "a.lock", fcntl.flock, []

    def deleted_meanwhile(descriptor, how):
        flock(descriptor, how)
        calls.append(how)
        if len(calls) == 1:
            path.unlink()

    monkeypatch.setattr("fcntl.flock", deleted_meanwhile)
    with lock(path):
        assert path.exists()
        assert is_held(path)


@pytest.fixture
def without_locks(monkeypatch):
    def flock(descriptor, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", flock)


@pytest.mark.parametrize("number", NO_LOCKS)
def test_a_file_system_without_locks_is_an_error_with_a_remedy(tmp_path, monkeypatch, number):
    def flock(descriptor, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(StoreError, match=r"has no locks .*choose another --home"):
        lock(tmp_path / "a.lock").__enter__()


def test_without_locks_an_import_stops_before_it_reads(tmp_path, without_locks):
    with pytest.raises(StoreError, match="has no locks"), database(Workspace(tmp_path)):
        pytest.fail("the import began")
    cache = tmp_path / "cache"
    assert [path for path in tmp_path.rglob("*") if path.name != "check.lock"] == [cache]


def test_a_check_leaves_no_lock(tmp_path):
    check_locks(tmp_path / "locks")
    assert list((tmp_path / "locks").iterdir()) == []


def test_without_locks_a_cache_is_made_for_this_process_alone(tmp_path, without_locks):
    workspace = Workspace(tmp_path / "home")
    target = workspace.cache / "kind" / "hash"
    made = kept(workspace, target, lambda empty: np.save(empty / "a.npy", np.arange(3)))
    assert np.load(made / "a.npy").tolist() == [0, 1, 2]
    assert not target.exists()
