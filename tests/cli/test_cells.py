"""Cells as jobs of a scheduler: `cells` and `run-cell`."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

import ctrbench
from ctrbench.errors import ConfigError
from ctrbench.executors import Limits
from ctrbench.runner.memory import expected_memory
from ctrbench.store import Store
from tests.benchmark import SMALL, matrix, write

DIVERGES = SMALL.replace("vector: {width: 4}", "vector: {learning_rate_factor: 1e9}")


def lines(run, *words):
    return [json.loads(line) for line in run("cells", *words, "--format", "jsonl").splitlines()]


def test_cells_are_listed_with_state_and_requirements(workspace, run):
    file, cells = write(workspace.home), list(matrix(workspace).cells())
    run("run-cell", file, cells[0].hash)
    found = lines(run, file)
    assert found == [
        {
            "hash": cell.hash,
            "label": cell.label,
            "dataset": "taste",
            "version": cell.version or "none",
            "mode": cell.mode,
            "seed": 0,
            "status": "done" if cell is cells[0] else "missing",
            "gpus": 0,
            "memory_bytes": expected_memory(workspace, cell).total,
        }
        for cell in cells
    ]
    assert lines(run, file, "--missing") == found[1:]
    text = run("cells", file).splitlines()
    assert text[0].split() == ["hash", "state", "memory", "cell"]
    assert text[1].split() == [cells[0].hash, "done", "0.5", "GB", *cells[0].label.split()]
    assert len(text) == 1 + len(cells)


def test_a_cell_of_a_job_equals_that_of_a_run(workspace, run):
    file, cells = write(workspace.home), list(matrix(workspace).cells())
    printed = run("run-cell", file, cells[2].hash)
    assert printed.startswith(f"{cells[2].label}: ")
    store = Store(workspace)
    record, predictions = store.read(cells[2]), store.predictions(cells[2], "test")
    assert run("run-cell", file, cells[2].hash) == printed  # it is stored
    assert store.read(cells[2]) == record
    store.path(cells[2]).unlink()
    run("run", file, "--no-report", "--jobs", "1")
    assert store.read(cells[2]).metrics == record.metrics
    assert (store.predictions(cells[2], "test") == predictions).all()


def test_a_failed_cell_sets_the_exit_code_and_can_be_listed_again(workspace, run):
    file = write(workspace.home, DIVERGES)
    cell = next(one for one in matrix(workspace, DIVERGES).cells() if one.mode == "vector")
    words = ["-m", "ctrbench", "--home", str(workspace.home), "run-cell", str(file), cell.hash]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{cell.label}: failed: ")
    assert cell.hash not in [one["hash"] for one in lines(run, file, "--missing")]
    listed = lines(run, file, "--missing", "--retry-failed")
    assert [one["status"] for one in listed if one["hash"] == cell.hash] == ["failed"]


def test_a_cell_that_exceeds_its_time_is_failed_with_the_reason(workspace):
    read = ctrbench.read_matrix(write(workspace.home), workspace)
    cell = next(read.checked.cells())
    record = ctrbench.run_cell(read, cell.hash, limits=Limits(seconds=0.01))
    assert record.status == "failed"
    assert "the limit is 0.01 s. Raise --max-time" in record.reason
    assert Store(workspace).read(cell) == record


def test_limits_are_refused_with_several_processes(workspace, run, monkeypatch):
    file, cell = write(workspace.home), next(matrix(workspace).cells())
    monkeypatch.setattr("ctrbench.distributed.Processes", lambda: SimpleNamespace(count=2))
    for option in (("--max-time", "2h"), ("--max-memory", "8GB")):
        with pytest.raises(ConfigError, match="apply to a cell in a single process"):
            run("run-cell", file, cell.hash, *option)


def test_the_processes_of_a_machine_share_its_memory(workspace, run, monkeypatch):
    file, cell = write(workspace.home), next(matrix(workspace).cells())
    monkeypatch.setattr("ctrbench.runner.memory.machine_bytes", lambda: 1_200_000_000)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    with pytest.raises(
        ConfigError, match=r"available 1\.2 GB of memory in 3 processes\. Start fewer"
    ):
        run("run-cell", file, cell.hash)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    run("run-cell", file, cell.hash)


def test_an_unknown_hash_and_format_are_refused(workspace, run):
    file = write(workspace.home)
    with pytest.raises(ConfigError) as caught:
        run("run-cell", file, "0123")
    assert str(caught.value) == (
        f"{file} has no cell '0123'. `ctrbench cells {file}` lists the hashes of its 7 cells; they "
        "change with the settings."
    )
    with pytest.raises(ConfigError) as caught:
        run("cells", file, "--format", "csv")
    assert str(caught.value) == "--format 'csv' is not valid: give text or jsonl."
