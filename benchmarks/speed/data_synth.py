"""How fast, and in how much memory, a world is made: as a user would, command and all.

`python benchmarks/speed/data_synth.py --home DIR` makes a world `taste` of 20 million impressions
there (`--impressions 100000000` the full one), watches the process from outside, and adds a row to
results/tables/speed_data_synth.md. Needs Linux, whose /proc tells a process's memory.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from watching import load, machine, watched

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
    before = load()
    sizes = {"users": users, "items": items, "impressions": given.impressions}
    command = [sys.executable, "-m", "data_synth", "--out", str(given.home), "--pictures", "0"]
    command += ["--workers", str(given.workers)]
    for name, value in sizes.items():
        command += [f"--{name}", str(value)]
    seen = watched(command)
    seconds = seen.seconds
    disk = sum(file.stat().st_size for file in given.home.rglob("*") if file.is_file())
    shutil.rmtree(given.home)
    resident, anonymous = seen.resident_kb / 1e6, seen.anonymous_kb / 1e6
    row = (
        f"| {given.impressions:,} | {users:,} | {items:,} | {given.workers} | {seconds:.0f} | "
        f"{given.impressions / seconds:,.0f} | {resident:.2f} | {anonymous:.2f} | "
        f"{disk / 1e9:.2f} | {before} | {machine()} |\n"
    )
    there = given.output.read_text(encoding="utf-8") if given.output.exists() else HEAD
    given.output.write_text(there + row, encoding="utf-8")
    print(row)


if __name__ == "__main__":
    main()
