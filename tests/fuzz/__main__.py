"""A campaign over all readers: `python -m tests.fuzz MINUTES [TARGET ...]`, or `make fuzz`.

It reads new inputs at every start. Failing inputs are stored below `.fuzz/`, one folder each. The
exit code is 1 if there are any. All targets read equally many inputs.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.judging import Finding, Judge
from tests.fuzz.running import run
from tests.fuzz.targets import targets

STORED = Path(".fuzz")
ENDLESS = 1 << 40


def main(minutes: float, chosen: list[str]) -> int:
    """Run the targets, print counts and findings, and return the exit code.

    Args:
        minutes: The time of all targets together, with that of their start.
        chosen: Names of targets; empty: all.
    """
    names = chosen or list(targets())
    seed, counts, findings = time.time_ns(), Counter[str](), list[Finding]()
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # faster than a disk
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        for one in run(names, Path(folder), seed, ENDLESS, 60 * minutes):
            if not isinstance(one, Finding):
                counts[one[0]] += 1
                continue
            if all(known.kind != one.kind for known in findings):
                _print(f"  {one.target} {one.number}: {one.problem} {one.place}")
                _print(f"  stored: {_stored(one, seed)}")
                findings.append(one)
    for name in names:
        _print(f"  {name:20} {counts[name]:>9,} inputs")
    _print(f"seed {seed}: {counts.total():,} inputs, {len(findings)} findings")
    return 1 if findings else 0


def _stored(finding: Finding, seed: int) -> Path:
    """Write the files of a failing input, and return their folder."""
    place = (STORED / f"{finding.target}-{seed}-{finding.number}").absolute()
    shutil.rmtree(place, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        judge = Judge(targets()[finding.target], Path(folder) / finding.target)
        for name, data in judge.input(seed, finding.number).items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return place


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
