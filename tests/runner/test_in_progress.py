import multiprocessing

import pytest

from ctrbench.runner import in_progress
from ctrbench.runner.cell import run_cell
from ctrbench.runner.in_progress import cell_lock, published, running_cells
from tests.benchmark import matrix


def file_of(workspace, cell):
    return workspace.cache / "locks" / f"cell-{cell.hash}.progress"


def hold(workspace, cell, send, receive):
    """Publish a cell's progress as another process would, until a message arrives."""
    in_progress.INTERVAL_S = 0.0
    with cell_lock(workspace, cell), published(workspace, cell, lambda share: None) as publish:
        publish(0.5)
        send.send("holds")
        receive.recv()


@pytest.fixture
def elsewhere(workspace):
    """Start a process that trains the first cell of the matrix and is half done."""
    cell = next(matrix(workspace).cells())
    context = multiprocessing.get_context("spawn")
    (ready, send), (receive, end) = context.Pipe(duplex=False), context.Pipe(duplex=False)
    process = context.Process(target=hold, args=(workspace, cell, send, receive), daemon=True)
    process.start()
    ready.recv()
    yield cell, process, end
    process.kill()
    process.join()


def test_cell_that_another_process_trains(workspace, elsewhere):
    cell, process, end = elsewhere
    (found,) = running_cells(workspace, matrix(workspace).cells())
    assert (found.hash, found.label, found.share) == (cell.hash, cell.label, 0.5)
    assert found.elapsed_s >= 0
    end.send("end")
    process.join()
    assert not file_of(workspace, cell).exists()


def test_file_of_a_killed_process_is_ignored(workspace, elsewhere):
    cell, process, _ = elsewhere
    process.kill()
    process.join()
    assert file_of(workspace, cell).exists()
    assert running_cells(workspace, [cell]) == ()


def test_clock_that_was_set_back_shows_no_negative_duration(workspace, elsewhere, monkeypatch):
    cell, _, _ = elsewhere
    monkeypatch.setattr(in_progress.time, "time", lambda: 0.0)
    (found,) = running_cells(workspace, [cell])
    assert found.elapsed_s == 0


def test_half_written_file_is_ignored(workspace, elsewhere):
    cell, _, _ = elsewhere
    file_of(workspace, cell).write_text("")
    assert running_cells(workspace, [cell]) == ()


def test_training_publishes_and_leaves_no_file(workspace):
    cell, seen = next(matrix(workspace).cells()), []

    def progress(share):
        seen.append((share, file_of(workspace, cell).exists()))

    assert run_cell(workspace, cell, (), {}, progress) is not None
    assert [share for share, _ in seen] == sorted(share for share, _ in seen)
    assert seen[0] == (0.0, False)
    assert all(there for _, there in seen[1:])
    assert not file_of(workspace, cell).exists()


def test_progress_is_written_once_per_interval(workspace, monkeypatch):
    cell = next(matrix(workspace).cells())
    monkeypatch.setattr(
        in_progress.time, "monotonic", iter([100.0, 100.0, 100.5, 101.5, 101.5]).__next__
    )
    with cell_lock(workspace, cell), published(workspace, cell, lambda share: None) as publish:
        publish(0.1)
        assert '"share": 0.0' in file_of(workspace, cell).read_text()
        publish(0.2)
        assert '"share": 0.2' in file_of(workspace, cell).read_text()


def test_a_full_disk_does_not_stop_training(workspace, monkeypatch):
    cell = next(matrix(workspace).cells())
    monkeypatch.setattr(in_progress.Path, "write_text", full)
    with cell_lock(workspace, cell), published(workspace, cell, lambda share: None) as publish:
        publish(1.0)


def full(*arguments, **options):
    raise OSError(28, "No space left on device")
