"""Every exit code of docs/commands.md, from a process as a shell starts it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.benchmark import SMALL, write

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
ONE_CELL = SMALL.replace("  sim_score: {}\n  cluster_id: {codebook_size: 8, width: 4}\n", "")
BUG = """
import importlib
module = importlib.import_module("ctrbench.cli.main")
module.starting.show = lambda *arguments: 1 / 0
module.main()
"""
DIVERGES = ONE_CELL.replace("{width: 4}", "{learning_rate_factor: 1e9}")


def ended(home, *words, script=None):
    start = ["-m", "ctrbench"] if script is None else ["-c", script]
    command = [sys.executable, *start, "--home", str(home), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_table_lists_the_codes_that_are_tested():
    section = PAGE.read_text(encoding="utf-8").split("## Exit codes")[1].split("## ")[0]
    assert re.findall(r"^\| (\d+) \|", section, re.MULTILINE) == ["0", "1", "2", "70", "130"]


@pytest.mark.parametrize(
    "words", [(), ("--help",), ("--version",), ("list",), ("datasets", "list")]
)
def test_0_success(tmp_path, words):
    done = ended(tmp_path, *words)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_1_cell_failed(workspace):
    file = write(workspace.home, DIVERGES)
    done = ended(workspace.home, "run", str(file), "--quiet")
    assert done.returncode == 1
    assert "cell(s) failed" in done.stderr
    assert "Traceback" not in done.stderr


def test_1_guard_is_an_error(workspace):
    file = workspace.embeddings / "taste" / "oracle" / "vectors.npy"
    vectors = np.load(file)
    np.save(file, 2 * vectors)
    done = ended(workspace.home, "embeddings", "check", "oracle", "--dataset", "taste")
    assert done.returncode == 1, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("datasets", "show", "nowhere"),
        ("run", "no_such_file.yaml"),
        ("no-such-command",),
        ("list", "--no-such-option"),
        ("run",),
    ],
)
def test_2_mistake_of_the_user(tmp_path, words):
    done = ended(tmp_path, *words)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_2_output_on_a_full_disk(tmp_path):
    command = [sys.executable, "-m", "ctrbench", "--home", str(tmp_path), "datasets", "list"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("ctrbench: cannot write the output")


def test_70_bug(tmp_path):
    done = ended(tmp_path, script=BUG)
    assert done.returncode == 70
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.slow
def test_130_interrupted(workspace):
    file = write(workspace.home, ONE_CELL)
    command = [sys.executable, "-m", "ctrbench", "--home", str(workspace.home), "run", str(file)]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # it may be inherited
    )
    assert process.stderr is not None
    while "to train" not in process.stderr.readline():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    _, output = process.communicate()
    assert process.returncode == 130
    assert "run the command again to resume" in output
