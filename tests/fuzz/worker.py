"""The child process that reads inputs.

`python -m tests.fuzz.worker FOLDER SEED STOP SECONDS NAME:FIRST ...` reads inputs of all targets in
turn. It prints JSON, a line per value: each input before it is read, as [name, number], and each
finding. The last line is `"end"`, or the traceback of an error of the tests.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import duckdb

from tests.fuzz.judging import Judge
from tests.fuzz.targets import targets

ROUND = 50  # inputs of a target before the next target
PARENT_DEATH = 1  # option of prctl: the signal to send when the parent ends


class Databases:
    """One open database, in which each connection has tables of its own, which is faster."""

    def __init__(self) -> None:
        self._open, self._used, self._count = duckdb.connect, list[str](), 0
        self._base = self._open(config={"threads": 1})

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Replace `duckdb.connect`, and drop all tables at the end."""
        duckdb.connect = self._connect
        try:
            yield
        finally:
            duckdb.connect = self._open
            self._clear()

    def _connect(self, *_: Any, **__: Any) -> duckdb.DuckDBPyConnection:
        """Return a connection with an empty database."""
        self._count += 1
        self._used.append(f"own{self._count}")
        cursor = self._base.cursor()
        cursor.execute(f"ATTACH ':memory:' AS {self._used[-1]}; USE {self._used[-1]}")
        return cursor

    def _clear(self) -> None:
        """Drop all tables; open the database again if an error of DuckDB has ended it."""
        try:
            while self._used:
                self._base.execute(f"DETACH {self._used.pop()}")
            self._base.execute("FROM range(1)")
        except duckdb.Error:
            self._used.clear()
            self._base = self._open(config={"threads": 1})


def work(
    line: IO[str], folder: Path, seed: int, first: dict[str, int], stop: int, seconds: float
) -> None:
    """Read equally many inputs of all targets, until the last ones or the end of the time.

    Args:
        line: Receives the numbers and the findings.
        folder: The folder of the files.
        seed: The seed of the inputs.
        first: The number of the first input of each target.
        stop: The number after the last input of a target.
        seconds: The time of all targets together.
    """
    known, databases, judges = targets(), Databases(), dict[str, Judge]()
    waiting, end = dict(first), time.monotonic() + seconds
    while waiting and time.monotonic() < end:
        name = min(waiting, key=lambda one: waiting[one] // ROUND)
        judge = judges.get(name) or Judge(known[name], folder / name)
        judge.silence()
        if name not in judges:
            judges[name] = judge
            judge.judge(judge.samples[0], 0)  # libraries are imported before the limit
        judge.limited()
        number = waiting[name]
        last = min(stop, number - number % ROUND + ROUND)
        while number < last and time.monotonic() < end:
            line.write(json.dumps([name, number]) + "\n")
            files = judge.input(seed, number)
            with databases.shared():
                finding = judge.judge(files, number)
            if finding is not None:
                line.write(json.dumps(finding.plain()) + "\n")
            number += 1
        waiting[name] = number
        if number == stop:
            del waiting[name]


def main() -> None:
    """Read the inputs of all targets of the command line."""
    # if the parent has already ended, the first line ends this process
    ctypes.CDLL(None).prctl(PARENT_DEATH, signal.SIGKILL)
    line = os.fdopen(os.dup(1), "w", buffering=1)
    _, folder, seed, stop, seconds, *names = sys.argv
    first = {name: int(number) for name, number in (one.split(":") for one in names)}
    try:
        work(line, Path(folder), int(seed), first, int(stop), float(seconds))
    except Exception:  # a fault of these tests
        line.write(json.dumps(traceback.format_exc()) + "\n")
        raise
    line.write('"end"\n')


if __name__ == "__main__":
    main()
