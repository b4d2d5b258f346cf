"""Time and memory of making a world by the command.

`python -m benchmarks.speed.data_synth --home DIR` makes a world `taste` of 20 million impressions
below DIR (`--impressions 100000000` for the full size), measures the process from outside, and adds
a row to results/tables/speed_data_synth.md. Requires Linux (/proc).
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from benchmarks.shared import TABLES, add_row, data_synth
from benchmarks.speed.watching import load, machine, watched

HEAD = (
    "| impressions | users | items | workers | seconds | impressions/s | peak memory, GB | "
    "anonymous memory, GB | disk, GB | load before | machine |\n"
    "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n"
)


def main() -> None:
    """Make the world, measure the process, and add the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="empty folder for the world")
    parser.add_argument("--impressions", type=int, default=20_000_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=TABLES / "speed_data_synth.md")
    given = parser.parse_args()
    users, items = given.impressions // 100, given.impressions // 1000
    before = load()
    sizes = {"users": users, "items": items, "impressions": given.impressions}
    seen = watched(data_synth(given.home, workers=given.workers, **sizes))
    seconds = seen.seconds
    disk = sum(file.stat().st_size for file in given.home.rglob("*") if file.is_file())
    shutil.rmtree(given.home)
    resident, anonymous = seen.resident_kb / 1e6, seen.anonymous_kb / 1e6
    row = (
        f"| {given.impressions:,} | {users:,} | {items:,} | {given.workers} | {seconds:.0f} | "
        f"{given.impressions / seconds:,.0f} | {resident:.2f} | {anonymous:.2f} | "
        f"{disk / 1e9:.2f} | {before} | {machine()} |"
    )
    add_row(given.output.name, HEAD, row, given.output.parent)


if __name__ == "__main__":
    main()
