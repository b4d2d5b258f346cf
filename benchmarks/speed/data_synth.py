"""How fast, and in how much memory, a world is made: as a user would, command and all.

`python benchmarks/speed/data_synth.py --home DIR` makes a world `taste` of 20 million impressions
there (`--impressions 100000000` the full one), watches the process from outside, and adds a row to
results/tables/speed_data_synth.md. Needs Linux, whose /proc tells a process's memory.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

HEAD = (
    "| impressions | users | items | workers | seconds | impressions/s | peak memory, GB | "
    "of it anonymous, GB | disk, GB | load before | machine |\n"
    "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n"
)


def main() -> None:
    """Make the world, watch, write the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="empty folder for the world")
    parser.add_argument("--impressions", type=int, default=20_000_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=Path("results/tables/speed_data_synth.md"))
    given = parser.parse_args()
    users, items = given.impressions // 100, given.impressions // 1000
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"The machine is busy (load {load:.1f}): the figures will be too low.")
    sizes = {"users": users, "items": items, "impressions": given.impressions}
    command = [sys.executable, "-m", "data_synth", "--out", str(given.home), "--pictures", "0"]
    command += ["--workers", str(given.workers)]
    for name, value in sizes.items():
        command += [f"--{name}", str(value)]
    seconds, resident, anonymous = _watched(command)
    disk = sum(file.stat().st_size for file in given.home.rglob("*") if file.is_file())
    shutil.rmtree(given.home)
    row = (
        f"| {given.impressions:,} | {users:,} | {items:,} | {given.workers} | {seconds:.0f} | "
        f"{given.impressions / seconds:,.0f} | {resident / 1e6:.2f} | {anonymous / 1e6:.2f} | "
        f"{disk / 1e9:.2f} | {load:.1f} | {_machine()} |\n"
    )
    there = given.output.read_text(encoding="utf-8") if given.output.exists() else HEAD
    given.output.write_text(there + row, encoding="utf-8")
    print(row)


def _watched(command: list[str]) -> tuple[float, int, int]:
    """Seconds, and the largest resident and anonymous memory in kB."""
    start, resident, anonymous = time.monotonic(), 0, 0
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            told = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            sizes = dict(line.split(":", 1) for line in told.splitlines())
            resident = max(resident, _kb(sizes.get("VmRSS")))
            anonymous = max(anonymous, _kb(sizes.get("RssAnon")))
            time.sleep(0.2)
    if process.returncode:
        sys.exit(process.returncode)
    return time.monotonic() - start, resident, anonymous


def _kb(text: str | None) -> int:
    return int(text.split()[0]) if text else 0


def _machine() -> str:
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    names = [line.split(":")[1].strip() for line in info.splitlines() if "model name" in line]
    return f"{len(names)} x {names[0]}" if names else platform.processor()


if __name__ == "__main__":
    main()
