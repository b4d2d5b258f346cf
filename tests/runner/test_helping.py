"""A cell that several processes train is stored once, as a single process stores it."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

import ctrbench
from ctrbench import training
from ctrbench.api.matrices import help_to_run_cell
from ctrbench.distributed import LostProcessError
from ctrbench.errors import StoreError
from ctrbench.schema import PROCESSES
from ctrbench.store import Store
from ctrbench.workspace import Workspace
from tests.benchmark import SMALL, matrix, write
from tests.processes import by_processes

DIVERGES = SMALL.replace("vector: {width: 4}", "vector: {learning_rate_factor: 1e9}")
WARM = SMALL.replace("batch_size: 256", "batch_size: 256, warm_start: 0.4")


def cell_of(workspace, text, mode):
    return next(one for one in matrix(workspace, text).cells() if one.mode == mode)


def attempt(home, text, mode, rank, **how):
    """Run a cell as `run-cell` does; return its record, or the name of the error."""
    workspace = Workspace(home)
    try:
        if rank:
            return help_to_run_cell(workspace)
        read = ctrbench.read_matrix(write(home, text), workspace)
        return ctrbench.run_cell(read, cell_of(workspace, text, mode).hash, **how)
    except Exception as error:
        return type(error).__name__


def full_disk(*_):
    raise StoreError("no space left")


def no_memory(*_):
    raise MemoryError


def many_runs(rank, found, home):
    def ran(text, mode, **how):
        return attempt(home, text, mode, rank, **how)

    found["vector", rank] = ran(SMALL, "vector", keep_models=True)
    found["stored", rank] = ran(SMALL, "vector", keep_models=True)
    found["diverges", rank] = ran(DIVERGES, "vector")
    found["again", rank] = ran(DIVERGES, "vector", retry_failed=True)
    found["warm", rank] = ran(WARM, "none", traced=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "write", full_disk)
        found["full disk", rank] = ran(SMALL, "sim_score")
    found["after a full disk", rank] = ran(SMALL, "sim_score")
    if rank == 1:
        training._Curve.close = no_memory
    found["no memory", rank] = ran(SMALL, "cluster_id")


@pytest.fixture(scope="module")
def outcomes(made_workspace, tmp_path_factory):
    """Return the outcomes of both processes, the workspace, and the expected records."""
    homes = [tmp_path_factory.mktemp(name) / "home" for name in ("two", "one")]
    for home in homes:
        shutil.copytree(made_workspace.home, home)
    found = by_processes(2, many_runs, homes[0])
    return found, Workspace(homes[0]), Workspace(homes[1])


@pytest.mark.parametrize(
    ("name", "text", "mode"),
    [
        ("vector", SMALL, "vector"),
        ("warm", WARM, "none"),
        ("after a full disk", SMALL, "sim_score"),
    ],
)
def test_a_cell_of_two_processes_equals_that_of_one(outcomes, name, text, mode):
    found, two, one = outcomes
    record = found[name, 0]
    cell = cell_of(one, text, mode)
    read = ctrbench.read_matrix(write(one.home, text), one)
    expected = ctrbench.run_cell(read, cell.hash)
    assert record.environment[PROCESSES] == "2"
    assert PROCESSES not in expected.environment
    for period in ("valid", "test"):
        np.testing.assert_allclose(
            Store(two).predictions(cell, period), Store(one).predictions(cell, period), atol=2e-6
        )
    metrics, wanted = record.metrics["test"], expected.metrics["test"]
    assert metrics.log_loss == pytest.approx(wanted.log_loss, abs=1e-5)
    assert found[name, 1] is None


def test_a_stored_cell_is_not_trained_again(outcomes):
    found, two, _ = outcomes
    assert found["stored", 0] == found["vector", 0]
    assert Store(two).has_model(found["vector", 0].cell)


def test_a_diverging_cell_is_stored_as_failed_and_can_be_tried_again(outcomes):
    found, two, _ = outcomes
    for name in ("diverges", "again"):
        assert found[name, 0].status == "failed"
        assert "the loss became" in found[name, 0].reason
        assert found[name, 1] is None
    assert Store(two).read(found["again", 0].cell).status == "failed"


def test_a_full_disk_of_the_first_process_dismisses_the_other(outcomes):
    found, _, _ = outcomes
    assert found["full disk", 0] == "StoreError"
    assert found["full disk", 1] is None


def test_a_lack_of_memory_of_another_process_ends_both_and_stores_nothing(outcomes):
    found, two, _ = outcomes
    assert found["no memory", 1] == "MemoryError"
    assert found["no memory", 0] == LostProcessError.__name__
    assert Store(two).read(cell_of(two, SMALL, "cluster_id")) is None


def test_a_killed_process_ends_the_others_with_one_message(workspace):
    file, cell = write(workspace.home), cell_of(workspace, SMALL, "vector")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words = ["-m", "tests.runner.faulty", "--home", workspace.home, "run-cell", file, cell.hash]
    done = subprocess.run([*torchrun, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("ctrbench: ") == 1
    assert str(LostProcessError()) in done.stderr
    assert "Signal 9 (SIGKILL)" in done.stderr  # torchrun's report
    assert Store(workspace).read(cell) is None
    assert not list(workspace.home.rglob(".partial-*"))
