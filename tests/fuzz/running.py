"""Runs targets in child processes, so that a crash or a hang is a finding, too."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.fuzz.judging import Finding

PATIENCE = 300  # seconds for one input, or for the start, also on a busy machine
ROOT = Path(__file__).parents[2]


def run(
    names: Sequence[str], folder: Path, seed: int, stop: int, seconds: float = 3600
) -> Iterator[tuple[str, int] | Finding]:
    """Yield name and number of each input before it is read, and each finding.

    Args:
        names: The targets, which run in turn.
        folder: A folder for their files.
        seed: The seed of the inputs.
        stop: The number of inputs per target.
        seconds: The time of all targets together.

    Raises:
        RuntimeError: The process does not start.
    """
    waiting = dict.fromkeys(names, 0)  # the next input of each target
    end = time.monotonic() + seconds
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        last = None
        with _started(folder, seed, stop, end - time.monotonic(), waiting) as process:
            for line in _lines(process):
                found = json.loads(line)
                if found == "end":
                    return
                if isinstance(found, str):
                    raise RuntimeError(found)
                if isinstance(found, dict):
                    yield Finding(**found)
                    continue
                last = name, number = found[0], found[1]
                waiting[name] = number + 1
                yield last
            process.kill()
            code = process.wait()
        if last is None:
            raise RuntimeError(f"the process of {', '.join(waiting)} ends: {_reason(code)}")
        yield Finding(*last, "hang" if code == -signal.SIGKILL else f"crash: {_reason(code)}")


def _started(
    folder: Path, seed: int, stop: int, seconds: float, first: Mapping[str, int]
) -> subprocess.Popen[str]:
    options = [str(folder), str(seed), str(stop), str(seconds)]
    names = [f"{name}:{number}" for name, number in first.items()]
    command = [sys.executable, "-m", "tests.fuzz.worker", *options, *names]
    few = {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "ARROW_IO_THREADS": "1"}
    environment = {**os.environ, **few, "PYTHONPATH": str(ROOT)}
    environment["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, bufsize=1
    )


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield lines until the process ends, or takes too long for one."""
    assert process.stdout is not None
    pending = ""
    number = process.stdout.fileno()
    while select.select([number], [], [], PATIENCE)[0]:
        block = os.read(number, 1 << 16).decode()
        if not block:
            process.wait()
            return
        *whole, pending = (pending + block).split("\n")
        yield from whole


def _reason(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
