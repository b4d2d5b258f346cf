"""Only terminals get colour, unless NO_COLOR is set; escape codes of names are never printed."""

import os
import pty
import re
import subprocess
import sys

import pytest

from tests.benchmark import SMALL, write

COLOUR = re.compile(r"\x1b\[[\d;]*\b(3[0-7]|9[0-7]|38;)")


def environment(**more):
    dropped = ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE")
    kept = {key: value for key, value in os.environ.items() if key not in dropped}
    return kept | {"TERM": "xterm-256color", "COLUMNS": "120"} | more


def on_a_terminal(*words, **more):
    """Return what a command sends to a terminal, stdout and stderr together."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "ctrbench", *words]
    process = subprocess.Popen(command, stdout=slave, stderr=slave, env=environment(**more))
    os.close(slave)
    printed = b""
    try:
        while part := os.read(master, 1 << 16):
            printed += part
    except OSError:  # Linux ends the output of a closed terminal so
        pass
    os.close(master)
    process.wait()
    return printed.decode()


def test_no_color():
    assert COLOUR.search(on_a_terminal("--help"))
    assert not COLOUR.search(on_a_terminal("--help", NO_COLOR="1"))


@pytest.mark.parametrize("words", [["--help"], ["status"], ["plan"]])
def test_a_pipe_gets_no_escape_codes(workspace, words):
    file = write(workspace.home)
    command = [sys.executable, "-m", "ctrbench", "--home", workspace.home, *words]
    if words != ["--help"]:
        command.append(file)
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
    assert done.stdout
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.slow
def test_bar_of_a_run_on_a_terminal(workspace):
    one = SMALL.replace("  sim_score: {}\n  cluster_id: {codebook_size: 8, width: 4}\n", "")
    words = "--home", str(workspace.home), "run", str(write(workspace.home, one))
    printed = on_a_terminal(*words)
    assert "1 running" in printed
    assert "[1/3]" not in printed  # a line per cell is for pipes
    assert "0 running" in on_a_terminal(*words)
    assert "running" not in on_a_terminal(*words, "--quiet")


def test_escape_codes_of_a_benchmark_file(workspace):
    nasty = SMALL.replace("oracle", '"\\e[2Jora"').replace("vector:", '"\\e[31mvector":')
    printed = on_a_terminal(
        "--home", str(workspace.home), "plan", str(write(workspace.home, nasty))
    )
    assert "mistake" in printed
    assert "\x1b[2J" not in printed
    assert "\x1b[31m" not in printed
