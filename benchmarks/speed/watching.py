"""A process seen from outside, and the machine it ran on. Needs Linux, whose /proc tells."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

BUSY = 0.5  # load above which figures say little


@dataclass(frozen=True)
class Seen:
    """What a process took."""

    seconds: float
    resident_kb: int  # at most
    anonymous_kb: int  # at most: what is no file and no memory map of one
    cpu_seconds: float  # of all its threads; other work on the machine moves them little
    printed: str


def watched(command: list[str]) -> Seen:
    """Run a command to its end; ends with its exit code if it fails."""
    start, resident, anonymous = time.monotonic(), 0, 0
    before = _cpu_seconds_of_children()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            told = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            sizes = dict(line.split(":", 1) for line in told.splitlines())
            resident = max(resident, _kb(sizes.get("VmRSS")))
            anonymous = max(anonymous, _kb(sizes.get("RssAnon")))
            time.sleep(0.2)
        assert process.stdout is not None
        printed = process.stdout.read()
    if process.returncode:
        sys.exit(process.returncode)
    cpu_seconds = _cpu_seconds_of_children() - before
    return Seen(time.monotonic() - start, resident, anonymous, cpu_seconds, printed)


def machine() -> str:
    """Its cores."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    names = [line.split(":")[1].strip() for line in info.splitlines() if "model name" in line]
    return f"{len(names)} x {names[0]}" if names else platform.processor()


def load() -> str:
    """What else the machine does, for a table; said aloud where it is too much."""
    found = os.getloadavg()[0]
    if found <= BUSY:
        return f"{found:.1f}"
    print(f"The machine is busy (load {found:.1f}): the figures will say little.")
    return f"{found:.1f}, busy"


def _cpu_seconds_of_children() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def _kb(text: str | None) -> int:
    return int(text.split()[0]) if text else 0
