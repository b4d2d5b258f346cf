"""Real cells on a Ray cluster: shared files, copied files, a lost node, the command line."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray", reason="the extra ctrbench[ray] is not installed")

from ctrbench.errors import ConfigError
from ctrbench.executors import Limits, Processes, Program, Task
from ctrbench.executors import ray as module
from ctrbench.executors.ray import ENDED, Ray
from ctrbench.runner import run_matrix
from ctrbench.runner.in_progress import cell_lock, running_cells
from ctrbench.store import Store
from ctrbench.workspace import Workspace
from tests.benchmark import SMALL, matrix, write
from tests.executors import works

pytestmark = pytest.mark.cluster
THREE = SMALL.replace("  cluster_id: {codebook_size: 8, width: 4}\n", "").replace(
    "[oracle, random]", "[oracle]"
)


class Watcher:
    """An observer that calls a function at the first progress of each cell."""

    def __init__(self, started=lambda cell: None):
        self.started, self.again, self.records = started, [], []

    def begin(self, what, cells, missing, impressions):
        pass

    def progress(self, cell, share):
        if share == 0:
            self.started(cell)

    def retried(self, cell, reason):
        self.again.append((cell.label, reason))

    def finished(self, record):
        self.records.append(record)


@pytest.fixture(scope="module")
def expected(made_workspace, tmp_path_factory):
    """Return the cells and their predictions from local processes."""
    home = tmp_path_factory.mktemp("local") / "home"
    shutil.copytree(made_workspace.home, home)
    workspace = Workspace(home)
    run_matrix(workspace, matrix(workspace, THREE), Processes(1))
    return found(workspace)


def found(workspace):
    store, cells = Store(workspace), matrix(workspace, THREE).cells()
    return {
        cell.label: (store.read(cell).metrics, store.predictions(cell, "test")) for cell in cells
    }


def require_equal(workspace, expected):
    here = found(workspace)
    assert here.keys() == expected.keys()
    for label, (metrics, p_click) in expected.items():
        assert here[label][0] == metrics
        assert np.array_equal(here[label][1], p_click), label


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_cells_on_ray_equal_those_of_local_processes(cluster, workspace, expected):
    seen = []

    def started(cell):
        assert not free(workspace, cell)  # this process holds the lock of the cell
        seen.append([one.hash for one in running_cells(workspace, [cell])] == [cell.hash])

    watcher = Watcher(started)
    made = matrix(workspace, THREE)
    records = run_matrix(workspace, made, Ray(jobs=2), False, watcher, True)
    assert seen == [True] * 3
    assert {record.hash for record in watcher.records} == records.keys()
    require_equal(workspace, expected)
    assert all(free(workspace, cell) for cell in made.cells())
    assert not list(workspace.cache.glob("ray-*"))
    assert all(Store(workspace).read_trace(cell) is not None for cell in made.cells())
    again = Watcher()
    run_matrix(workspace, made, Ray(jobs=2), False, again)
    assert again.records == []


def free(workspace, cell):
    from ctrbench.atomic import HeldError

    try:
        with cell_lock(workspace, cell):
            return True
    except HeldError:
        return False


def test_nodes_without_the_files_get_one_copy(cluster, workspace, expected, monkeypatch, tmp_path):
    nowhere = nullcontext(tmp_path / "nowhere")  # no node finds the marker
    monkeypatch.setattr(module, "_mark", lambda home: nowhere)
    monkeypatch.setattr(module, "CHUNK_BYTES", 10_000)
    copies = module._own_folder()
    before = files(copies)
    run_matrix(workspace, matrix(workspace, THREE), Ray(jobs=2))
    require_equal(workspace, expected)
    new = {path.split("/")[0] for path in files(copies)} - {path.split("/")[0] for path in before}
    (copy,) = (name for name in new if not name.endswith(".lock"))
    assert files(copies / copy / "data") == files(workspace.data)
    for name in files(copies / copy / "embeddings/taste/oracle"):
        own = workspace.embeddings / "taste" / "oracle" / name
        assert (copies / copy / "embeddings/taste/oracle" / name).read_bytes() == own.read_bytes()
    assert not (copies / copy / "embeddings/taste/random").exists()
    shutil.rmtree(copies / copy)


def test_cells_of_a_lost_node_are_trained_on_another(cluster, workspace, expected):
    node = cluster.add_node(num_cpus=1)
    raylet = node.all_processes["raylet"][0].process.pid
    killed = []

    def started(cell):
        below = descendants(raylet)
        cells = [pid for pid in below if b"forkserver" in command(parent(pid))]
        if cells and not killed:
            killed.extend(cells)
            for pid in [raylet, *below]:  # as a loss of power does
                with suppress(ProcessLookupError):  # it ended with its parent
                    os.kill(pid, signal.SIGKILL)

    for _ in range(5):  # all cells may end before the new node has started one
        shutil.rmtree(workspace.results, ignore_errors=True)
        watcher = Watcher(started)
        run_matrix(workspace, matrix(workspace, THREE), Ray(jobs=3), False, watcher)
        if killed:
            break
    cluster.remove_node(node)
    assert killed
    ((label, reason),) = watcher.again
    assert label in expected
    assert reason.startswith(ENDED) or "signal 9" in reason
    assert sorted(record.cell.label for record in watcher.records) == sorted(expected)
    require_equal(workspace, expected)


def parent(pid):
    """Return the parent of a process; 0, which has no command, if the process has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def descendants(pid):
    """Return the processes below a process, the nearest first."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for file in threads for child in file.read_text().split()]
    return children + [one for child in children for one in descendants(child)]


@pytest.mark.slow
def test_the_command_line_stops_the_cells_and_resumes(cluster, workspace, expected):
    file = str(write(workspace.home, THREE))
    words = [sys.executable, "-m", "ctrbench", "--home", str(workspace.home), "run", file]
    words += ["--executor", "ray", "--address", cluster.address, "--no-report", "--jobs", "1"]
    process = subprocess.Popen(
        words,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # it may be inherited
    )
    assert process.stderr is not None
    while not (line := process.stderr.readline()).startswith("[1/3]"):
        assert line or process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    _, output = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output.endswith(
        "ctrbench: stopped. Finished cells are stored; run the command again to resume.\n"
    )
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "to train." in done.stderr
    require_equal(workspace, expected)


def test_an_address_without_a_cluster_is_refused(monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with pytest.raises(ConfigError) as caught:
        Ray(address="127.0.0.1:1").memory_bytes()
    assert str(caught.value) == (
        "no Ray cluster answers at 127.0.0.1:1 ([Errno 111] Connection refused). Check --address "
        "and `ray status`."
    )


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError) as caught:
        Ray().memory_bytes()
    assert str(caught.value) == (
        "--executor ray requires Ray: install ctrbench[ray] on every machine."
    )


def test_cells_for_a_gpu_are_refused_without_one(cluster, tmp_path):
    run = Ray().run([Task(1, gpus=1)], Program(works.square, tmp_path), lambda task: "start")
    with pytest.raises(ConfigError) as caught:
        next(run)
    assert str(caught.value) == (
        "the cells request a GPU (training.device), but no node of the Ray cluster has one. Add "
        "such a node, or set `device: cpu`."
    )


def test_the_memory_of_a_cell_is_at_most_that_of_the_largest_node(cluster):
    import ray

    largest = max(node["Resources"].get("memory", 0) for node in ray.nodes())
    assert Ray().memory_bytes() == int(largest)
    assert Ray(limits=Limits(bytes=1000)).memory_bytes() == 1000


def test_tasks_share_a_gpu_by_the_requested_part(cluster, tmp_path):
    node = cluster.add_node(num_cpus=2, num_gpus=1)
    try:
        tasks = [Task(number, gpus=1) for number in range(2)]
        program = Program(works.meet, tmp_path)
        events = list(Ray(gpu_share=0.5).run(tasks, program, lambda task: "start"))
    finally:
        cluster.remove_node(node)
    assert [event.value for event in events if event.kind == "done"] == [("0", "0")] * 2
