"""How much memory a cell takes on a log of millions, seen from outside.

`python benchmarks/speed/memory.py --home DIR` makes a world `taste` of 10 million impressions there
(`--impressions 100000000` the large one; `--histories given` a log that brings a history with every
impression), trains a baseline and a cell with similarities, and adds a row for each to
results/tables/speed_memory.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from watching import load, machine, watched
from work import Work, import_log

HERE = Path(__file__).resolve().parent
TABLE = HERE.parents[1] / "results" / "tables" / "speed_memory.md"
HEAD = (
    "| impressions | users | items | trained on | image information | samples/s | "
    "samples a CPU second, all of the process | anonymous memory, GB | of it libraries | resident, "
    "memory maps included, GB | load before | machine |\n"
    "| ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n"
)
LIBRARIES = "import faiss, sklearn, torch, ctrbench.training, ctrbench.runner.cell"


def main() -> None:
    """Make, train, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder for the world")
    parser.add_argument("--impressions", type=int, default=10_000_000)
    parser.add_argument("--arms", default="none,sim_score")
    parser.add_argument("--histories", choices=("derived", "given"), default="derived")
    given = parser.parse_args()
    users, items = given.impressions // 100, given.impressions // 1000
    before = load()
    name, version = ("taste", "oracle") if given.histories == "derived" else ("work", "v1")
    if (given.home / "data" / name).exists():
        pass
    elif given.histories == "given":
        given.home.mkdir(parents=True, exist_ok=True)
        import_log(Work(given.impressions, items, users), given.home, name)
    else:
        sizes = ["--users", str(users), "--items", str(items), "--pictures", "0"]
        command = [sys.executable, "-m", "data_synth", "--out", str(given.home), *sizes]
        subprocess.run([*command, "--impressions", str(given.impressions)], check=True)
    libraries = watched([sys.executable, "-c", f"{LIBRARIES}; import time; time.sleep(1)"])
    for arm in given.arms.split(","):
        ours = [sys.executable, str(HERE / "ours.py"), "--home", str(given.home), "--arm", arm]
        seen = watched([*ours, "--dataset", name, "--version", version])
        told = json.loads(seen.printed.splitlines()[-1])
        figures = [
            f"{given.impressions:,}, histories {given.histories}",
            *(f"{count:,}" for count in (users, items, told["rows"])),
            arm,
            f"{told['samples_per_s']:,.0f}",
            f"{told['rows'] / seen.cpu_seconds:,.0f}",
            *(
                f"{kb / 1e6:.2f}"
                for kb in (seen.anonymous_kb, libraries.anonymous_kb, seen.resident_kb)
            ),
            before,
            machine(),
        ]
        row = f"| {' | '.join(figures)} |\n"
        there = TABLE.read_text(encoding="utf-8") if TABLE.exists() else HEAD
        TABLE.write_text(there + row, encoding="utf-8")
        print(row)


if __name__ == "__main__":
    main()
