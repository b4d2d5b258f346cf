"""Readers that do harm, to test that it is noticed: `python -m tests.fuzz.harmful FOLDER`.

It prints what a judge finds about each of them, as a JSON object.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ctrbench.errors import DataError
from tests.fuzz.judging import Judge
from tests.fuzz.targets import Target


def _another_error(folder: Path, scratch: Path) -> None:
    raise KeyError("value")


def _file_outside(folder: Path, scratch: Path) -> None:
    os.close(os.open(folder.parent / "outside", os.O_CREAT))


def _code(folder: Path, scratch: Path) -> None:
    os.system("true")


def _escape(folder: Path, scratch: Path) -> None:
    os.write(2, b"\x1b[2J")


def _memory(folder: Path, scratch: Path) -> None:
    np.zeros(1 << 32, np.uint8)


def _long_message(folder: Path, scratch: Path) -> None:
    raise _LongError("a" * 40_000)


class _LongError(DataError):
    def __str__(self) -> str:
        return self.args[0]


def _escape_in_message(folder: Path, scratch: Path) -> None:
    raise _LongError("\x1b[2J")


def _nothing(folder: Path, scratch: Path) -> None:
    pass


def _refusal(folder: Path, scratch: Path) -> None:
    raise DataError("vectors.npy is damaged. Save it again.")


def main(folder: Path) -> None:
    """Judge each reader on its second input, which is no sample."""
    readers: list[Callable[[Path, Path], None]] = [
        *(_another_error, _file_outside, _code, _escape, _memory, _long_message),
        *(_escape_in_message, _nothing, _refusal),
    ]
    line, found = os.fdopen(os.dup(1), "w"), {}
    for read in readers:
        name = read.__name__
        judge = Judge(Target(name, read, (_sample,)), folder / name)
        judge.silence()
        judge.limited()
        finding = judge.judge(judge.input(0, 1), 1)
        found[name] = finding and finding.problem
    line.write(json.dumps(found))
    line.close()


def _sample(folder: Path) -> None:
    (folder / "vectors.npy").write_bytes(bytes(100))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
