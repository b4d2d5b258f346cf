"""The child process that reads inputs.

`python -m tests.fuzz.worker FOLDER SEED STOP SECONDS NAME:FIRST ...` prints JSON, a line per value:
each input before it is read, as [name, number], and each finding. The last line is `"end"`,
or the traceback of an error of the tests.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import IO

import duckdb

from tests.fuzz.judging import Judge
from tests.fuzz.targets import Target, targets


def work(
    line: IO[str], target: Target, folder: Path, seed: int, first: int, stop: int, seconds: float
) -> None:
    """Read inputs of a target until the last one, or until the time is over.

    Args:
        line: Receives the numbers and the findings.
        target: The target.
        folder: The folder of its files.
        seed: The seed of the inputs.
        first: The number of the first input.
        stop: The number after the last input.
        seconds: The time.
    """
    judge = Judge(target, folder)
    judge.silence()
    connect = duckdb.connect
    if target.one_database:
        duckdb.connect = duckdb.connect(config={"threads": 1}).cursor
    judge.judge(judge.samples[0], 0)  # libraries are imported before the limit
    judge.limited()
    end = time.monotonic() + seconds
    for number in range(first, stop):
        line.write(json.dumps([target.name, number]) + "\n")
        finding = judge.judge(judge.input(seed, number), number)
        if finding is not None:
            line.write(json.dumps(finding.plain()) + "\n")
        if time.monotonic() > end:
            break
    duckdb.connect = connect


def main() -> None:
    """Read the inputs of all targets of the command line."""
    line = os.fdopen(os.dup(1), "w", buffering=1)
    _, folder, seed, stop, seconds, *names = sys.argv
    known = targets()
    try:
        for one in names:
            name, first = one.split(":")
            place = Path(folder) / name
            work(line, known[name], place, int(seed), int(first), int(stop), float(seconds))
    except Exception:  # a fault of these tests
        line.write(json.dumps(traceback.format_exc()) + "\n")
        raise
    line.write('"end"\n')


if __name__ == "__main__":
    main()
