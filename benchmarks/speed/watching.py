"""Measures a process from outside, and describes the machine. Requires Linux (/proc)."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

BUSY = 0.5  # load above which timings are unreliable


@dataclass(frozen=True)
class Seen:
    """The resources that a process used."""

    seconds: float
    resident_kb: int  # peak
    anonymous_kb: int  # peak, without files and memory maps of files
    cpu_seconds: float  # of all threads; depends little on other work on the machine
    printed: str


def watched(command: list[str]) -> Seen:
    """Run a command and measure it; exits with the command's code if it fails."""
    start, resident, anonymous = time.monotonic(), 0, 0
    before = _cpu_seconds_of_children()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            sizes = dict(line.split(":", 1) for line in status.splitlines())
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
    """Return the number and name of the processor cores."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    names = [line.split(":")[1].strip() for line in info.splitlines() if "model name" in line]
    return f"{len(names)} x {names[0]}" if names else platform.processor()


def load() -> str:
    """Return the load of the machine for a table; print a warning if it is too high."""
    found = os.getloadavg()[0]
    if found <= BUSY:
        return f"{found:.1f}"
    print(f"The machine is busy (load {found:.1f}): timings are unreliable.")
    return f"{found:.1f}, busy"


def _cpu_seconds_of_children() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def _kb(text: str | None) -> int:
    return int(text.split()[0]) if text else 0
