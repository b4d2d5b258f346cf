"""Faults of the processes that train cells: killed, hanging, too large. Siblings go on."""

import os
import re
import signal
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path

import numpy as np
import pytest

from ctrbench import upkeep
from ctrbench.errors import ConfigError
from ctrbench.executors import Limits, Processes
from ctrbench.runner import memory, run_matrix
from ctrbench.runner.cell import run_cell
from ctrbench.store import Store
from tests.benchmark import SMALL, matrix, write

TWO = SMALL.replace("  sim_score: {}\n  cluster_id: {codebook_size: 8, width: 4}\n", "").replace(
    "[oracle, random]", "[oracle]"
)
KILLED = "its process was killed (signal 9); the most frequent cause is a lack of memory"


class Faulty:
    """An observer that sends a signal to the process of a mode's cells when it starts."""

    def __init__(self, mode, number, times=1):
        self.mode, self.number, self.left = mode, number, times
        self.again, self.records = [], {}

    def begin(self, what, cells, missing, impressions):
        pass

    def progress(self, cell, share):
        if cell.mode == self.mode and share == 0 and self.left:
            self.left -= 1
            (worker,) = workers()
            os.kill(worker, self.number)

    def retried(self, cell, reason):
        self.again.append((cell.mode, reason))

    def finished(self, record):
        self.records[record.cell.mode] = record


def workers():
    """Return the processes that run cells at this moment."""
    server = forkserver._forkserver._forkserver_pid
    text = Path(f"/proc/{server}/task/{server}/children").read_text()
    return [int(pid) for pid in text.split() if b"State:\tZ" not in _status(pid)]


def _status(pid):
    return Path(f"/proc/{pid}/status").read_bytes()


def run(workspace, observer, limits=Limits(), retry_failed=False):  # noqa: B008
    executor = Processes(jobs=1, limits=limits)
    return run_matrix(workspace, matrix(workspace, TWO), executor, retry_failed, observer)


def test_the_cell_of_a_killed_process_is_trained_again(workspace, made_workspace):
    observer = Faulty("vector", signal.SIGKILL)
    records = run(workspace, observer)
    assert observer.again == [("vector", KILLED)]
    assert [record.status for record in records.values()] == ["done", "done"]
    (cell,) = [record.cell for record in records.values() if record.cell.mode == "vector"]
    found = Store(workspace).predictions(cell, "test")
    Store(workspace).path(cell).unlink()
    assert run_cell(workspace, cell, (), {}, lambda share: None).status == "done"
    assert np.array_equal(found, Store(workspace).predictions(cell, "test"))


def test_a_cell_whose_process_is_killed_twice_is_failed_with_the_reason(workspace):
    observer = Faulty("none", signal.SIGKILL, times=2)
    run(workspace, observer)
    assert observer.again == [("none", KILLED)]
    assert observer.records["none"].status == "failed"
    assert observer.records["none"].reason == f"{KILLED}; it was tried 2 times"
    assert observer.records["vector"].status == "done"
    records = run(workspace, Faulty("none", signal.SIGKILL, times=0), retry_failed=True)
    assert {record.status for record in records.values()} == {"done"}


def test_a_cell_that_hangs_is_stopped_and_failed_with_the_reason(workspace):
    observer = Faulty("none", signal.SIGSTOP)
    run(workspace, observer, Limits(seconds=4))
    assert observer.again == []
    reason = observer.records["none"].reason
    assert re.fullmatch(
        r"it was stopped after 4\.\d s; the limit is 4 s\. Raise --max-time, then train it again "
        r"with --retry-failed",
        reason,
    )
    assert observer.records["vector"].status == "done"


def test_cells_that_exceed_the_memory_are_failed_with_the_reason(workspace, monkeypatch):
    monkeypatch.setattr(memory.CellMemory, "total", 0)  # admits cells that are too large
    observer = Faulty("none", signal.SIGKILL, times=0)
    records = run(workspace, observer, Limits(bytes=10_000_000))
    assert {record.status for record in records.values()} == {"failed"}
    for record in records.values():
        assert re.fullmatch(
            r"it was stopped because it used 0\.\d\d GB of memory; the limit is 0\.01 GB\. Raise "
            r"--max-memory or lower batch_size, then train it again with --retry-failed",
            record.reason,
        )


def test_a_cell_that_is_known_to_exceed_the_memory_is_refused(workspace):
    with pytest.raises(ConfigError) as caught:
        run(workspace, Faulty("none", 0), Limits(bytes=10_000_000))
    assert str(caught.value) == (
        "these cells require more than the available 0.0 GB of memory. Raise --max-memory, or "
        "reduce the sizes in `model:`, history_length, the mode's settings or batch_size:\n"
        "  - Baseline / none: 0.5 GB, most for libraries\n"
        "  - oracle / vector: 0.5 GB, most for libraries"
    )
    assert not list(workspace.results.rglob("*/none/*/*.json"))


@pytest.mark.slow
def test_killed_command_keeps_the_finished_cells(workspace):
    text = TWO.replace("seeds: [0]", "seeds: [0, 1]")
    file = write(workspace.home, text)
    words = ["--home", str(workspace.home), "run", str(file), "--jobs", "1"]
    for finished in (1, 2):  # two kills
        command = [sys.executable, "-m", "ctrbench", *words]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            while f"[{finished}/" not in process.stderr.readline():
                assert process.poll() is None
            process.kill()
        kept = {path: path.stat() for path in workspace.results.glob("*/*/*/[!.]*.json")}
        assert len(kept) >= finished
        assert upkeep.verify(workspace).problems == ()
    records = run_matrix(workspace, matrix(workspace, text))
    assert [record.status for record in records.values()] == ["done"] * 4
    assert all(path.stat().st_ino == before.st_ino for path, before in kept.items())
    assert len(list(workspace.results.glob("*/*/*/[!.]*.json"))) == 4
