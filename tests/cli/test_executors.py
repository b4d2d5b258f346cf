"""Options of `run` that choose where cells run and what they may use."""

import subprocess
import sys

import pytest

from ctrbench.cli._options import executor_of
from ctrbench.errors import ConfigError, UnknownNameError
from ctrbench.executors import NO_LIMITS, Limits, Processes
from ctrbench.runner import run_matrix
from tests.benchmark import SMALL, matrix, write


def test_options_give_an_executor():
    assert executor_of("processes", "auto", None, None, None, None) == Processes(None, NO_LIMITS)
    found = executor_of("processes", "3", None, None, "1.5h", "8 GB")
    assert found == Processes(3, Limits(seconds=5400, bytes=8_000_000_000))
    assert executor_of("processes", "1", None, None, "90s", "512MiB").limits == Limits(90, 2**29)


@pytest.mark.parametrize("text", ["8", "GB", "0GB", "-1GB", "8 TB", "8gb", "1e3GB", "٣GB"])
def test_an_invalid_size_is_refused(text):
    with pytest.raises(ConfigError) as caught:
        executor_of("processes", "1", None, None, None, text)
    assert str(caught.value) == (
        f"--max-memory {text!r} is not valid: give a number above 0 and a unit "
        "(MB, MiB, GB, GiB), such as 8GB."
    )


@pytest.mark.parametrize("text", ["30", "0s", "2 hours", "h"])
def test_an_invalid_duration_is_refused(text):
    with pytest.raises(ConfigError) as caught:
        executor_of("processes", "1", None, None, text, None)
    assert str(caught.value) == (
        f"--max-time {text!r} is not valid: give a number above 0 and a unit "
        "(s, min, h, d), such as 2h."
    )


def test_an_unknown_executor_and_a_useless_address_are_refused():
    with pytest.raises(UnknownNameError, match=r"^no executor 'process'; known: .*processes"):
        executor_of("process", "1", None, None, None, None)
    with pytest.raises(ConfigError) as caught:
        executor_of("processes", "1", "host:6379", None, None, None)
    assert str(caught.value) == "--address does not apply to --executor processes; omit it."
    with pytest.raises(ConfigError) as caught:
        executor_of("processes", "1", None, 0.5, None, None)
    assert str(caught.value) == "--gpu-share does not apply to --executor processes; omit it."
    with pytest.raises(ConfigError, match=r"^--gpu-share is 1.5; give a share such as 0.25\.$"):
        executor_of("ray", "1", None, 1.5, None, None)


@pytest.mark.parametrize("name", ["run", "tune", "screen"])
def test_cells_that_exceed_the_memory_are_refused_before_the_run(workspace, name):
    command = [sys.executable, "-m", "ctrbench", "--home", str(workspace.home)]
    more = "tune: {learning_rate_factor: [1, 3]}\nscreen: {mode: vector, seeds: 1, keep: 1}\n"
    words = [name, str(write(workspace.home, SMALL + more)), "--max-memory", "100MB"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "  - Baseline / none: 0.5 GB, most for libraries\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_with_nothing_to_train_starts_no_server_and_imports_no_heavy_library(workspace):
    run_matrix(workspace, matrix(workspace), 2)
    code = (
        "import sys; from ctrbench.cli import main\n"
        "try:\n"
        f"    sys.argv = ['ctrbench', '--home', {str(workspace.home)!r}, 'run',\n"
        f"                {str(write(workspace.home))!r}]\n"
        "    main()\n"
        "finally:\n"
        "    from multiprocessing import forkserver\n"
        "    heavy = [n for n in ('torch', 'faiss', 'sklearn') if n in sys.modules]\n"
        "    print(heavy, forkserver._forkserver._forkserver_pid, file=sys.stderr)\n"
    )
    for _ in range(2):  # the first run computes the quality of the versions for the report
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "taste: 7 cells stored, 0 to train.\n[] None\n"
