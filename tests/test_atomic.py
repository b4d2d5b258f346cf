import errno
import os
import subprocess
import sys

import pytest

from ctrbench.atomic import (
    NO_LOCKS,
    abandoned,
    atomic_file,
    atomic_folder,
    check_writable,
    discard,
    partial_folder,
    sweep,
    write_json,
)
from ctrbench.errors import StoreError


def fail_after(_):
    raise RuntimeError("halfway")


def fill(folder):
    folder.mkdir()
    (folder / "other").write_text("2")


def test_file_is_complete_or_absent(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    with pytest.raises(RuntimeError, match="halfway"), atomic_file(path) as temporary:
        fail_after(temporary.write_text("half"))
    assert list(tmp_path.iterdir()) == []  # nor the folder that was created for the file
    with atomic_file(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_folder_instead_of_the_file_is_an_error(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(StoreError, match="folder"):
        write_json(tmp_path / "there", {})
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_folder_is_complete_or_absent(tmp_path):
    path = tmp_path / "a" / "b" / "folder"
    with pytest.raises(RuntimeError, match="halfway"), atomic_folder(path) as temporary:
        fail_after((temporary / "one").write_text("1"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError, match="halfway"), atomic_folder(path):
        fail_after((tmp_path / "a" / "used").write_text("1"))
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["used"]
    with atomic_folder(path) as temporary:
        (temporary / "one").write_text("1")
    assert [file.name for file in path.iterdir()] == ["one"]


def test_folder_created_meanwhile_is_not_changed(tmp_path):
    path = tmp_path / "folder"
    with pytest.raises(StoreError, match="folder"), atomic_folder(path):
        fill(path)
    assert [file.name for file in path.iterdir()] == ["other"]


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.ENOSPC, "no space left"), (errno.EROFS, "read-only"), (errno.EACCES, "permission")],
)
def test_failed_write_is_a_store_error(tmp_path, number, message):
    with pytest.raises(StoreError, match=message), atomic_file(tmp_path / "file"):
        raise OSError(number, os.strerror(number))
    assert list(tmp_path.iterdir()) == []


def test_error_of_the_system_that_a_library_states_as_text_is_a_store_error(tmp_path):
    with pytest.raises(StoreError, match="no space left"), atomic_file(tmp_path / "file"):
        raise ValueError("I/O error: No space left on device (os error 28)")


def test_file_instead_of_a_folder_is_an_error(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(StoreError, match="is a file instead of a folder"):
        write_json(tmp_path / "results" / "record.json", {})


def test_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "file")
    for text in ("new", "newer"):
        with atomic_file(tmp_path / "link") as temporary:
            temporary.write_text(text)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real" / "file").read_text() == text
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("file/x", "is a file instead of a folder"),
        ("folder", "it is a folder"),
        ("circle", "links form a cycle"),
        (300 * "n", "the name is too long"),
        ("pipe", "it is a device or a pipe"),
        ("/proc/ctrbench/x", "no folder can be created"),
        ("/proc/x", "no file can be created"),
        ("/dev/null", "it is a device or a pipe"),
    ],
)
def test_path_that_cannot_be_written_is_an_error_before_the_block(tmp_path, name, message):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreError, match=message):
        check_writable(tmp_path / name)
    with pytest.raises(StoreError, match=message), atomic_file(tmp_path / name):
        pytest.fail("the block began")
    assert sorted(tmp_path.iterdir()) == before


def test_file_that_receives_stdout_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "out").write_text("printed")
    found = (tmp_path / "out").stat()
    monkeypatch.setattr("ctrbench.atomic.os.fstat", lambda descriptor: found)
    with pytest.raises(StoreError, match="this command prints into it"):
        check_writable(tmp_path / "out")


def test_check_leaves_no_file(tmp_path):
    check_writable(tmp_path / "a" / "b" / "file")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("kept")
    check_writable(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"


def test_discarding_a_link_keeps_its_target(tmp_path):
    fill(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    discard(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["real"]
    assert (tmp_path / "real" / "other").read_text() == "2"
    discard(tmp_path / "real")
    assert list(tmp_path.iterdir()) == []


def test_nan_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "record.json", {"auc": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_sweep_removes_only_abandoned_files(tmp_path):
    old, new, whole = (tmp_path / name for name in (".partial-old", ".partial-new", "whole"))
    for path in (old, new, whole):
        (path / "file").parent.mkdir()
        (path / "file").write_text("1")
    for path in (old, old / "file", whole, new):  # the file of `new` is still written
        os.utime(path, (0, 0))
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".partial-new", "whole"]


HOLDS = """
import sys
from pathlib import Path
from ctrbench.atomic import atomic_file, partial_folder
home = Path(sys.argv[1])
with partial_folder(home) as folder, atomic_file(home / "whole.json") as file:
    (folder / "half").write_text("1")
    file.write_text("1")
    print("written", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def elsewhere(tmp_path):
    """Start a process that writes a partial folder and a partial file."""
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        yield process
        process.kill()


def test_sweep_removes_what_a_killed_process_left_and_nothing_else(
    tmp_path, elsewhere, monkeypatch
):
    monkeypatch.setattr("os.kill", lambda *_: pytest.fail("its number may be that of another host"))
    monkeypatch.setattr("os.getpid", lambda: elsewhere.pid)
    monkeypatch.setattr("time.time", lambda: 1e12)
    before = sorted(tmp_path.rglob("*"))
    assert len(before) == 4  # folder, file in it, its lock, file
    sweep(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    monkeypatch.undo()
    elsewhere.kill()
    elsewhere.wait()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_clock_that_was_set_back_deletes_nothing(tmp_path, monkeypatch):
    (tmp_path / ".partial-new").mkdir()
    monkeypatch.setattr("time.time", lambda: 0.0)
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".partial-new"]


@pytest.mark.parametrize("number", NO_LOCKS)
def test_without_locks_a_partial_folder_is_kept_for_a_day(tmp_path, monkeypatch, number):
    def flock(descriptor, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    with partial_folder(tmp_path) as folder, atomic_file(tmp_path / "whole") as file:
        file.write_text("1")
        assert sorted(tmp_path.iterdir()) == sorted([folder, file])
        assert list(abandoned(tmp_path)) == []
        for path in (folder, file):
            os.utime(path, (0, 0))
        assert sorted(abandoned(tmp_path)) == sorted([folder, file])
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_sweep_keeps_a_file_whose_process_has_just_locked_it(tmp_path, monkeypatch):
    with atomic_file(tmp_path / "whole") as file:
        file.write_text("1")
        monkeypatch.setattr("ctrbench.atomic.abandoned", lambda folder: [file])
        sweep(tmp_path)
    assert (tmp_path / "whole").read_text() == "1"


@pytest.mark.parametrize("number", NO_LOCKS)
def test_without_locks_sweep_removes_an_old_file(tmp_path, monkeypatch, number):
    def flock(descriptor, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    for name, time in ((".partial-old.json", 0), (".partial-new.json", 1e12)):
        (tmp_path / name).write_text("1")
        os.utime(tmp_path / name, (time, time))
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".partial-new.json"]


def test_a_folder_that_the_block_renames_stays(tmp_path):
    with atomic_folder(tmp_path / "whole") as folder:
        (folder / "file").write_text("1")
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_sweep_removes_an_abandoned_link_and_keeps_its_target(tmp_path):
    fill(tmp_path / "real")
    link = tmp_path / ".partial-link"
    link.symlink_to(tmp_path / "real")
    os.utime(link, (0, 0), follow_symlinks=False)
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["real"]
    assert (tmp_path / "real" / "other").exists()
