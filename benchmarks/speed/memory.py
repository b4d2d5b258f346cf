"""Memory of a cell on a log of millions of impressions, measured from outside.

`python -m benchmarks.speed.memory --home DIR` makes a world `taste` of 10 million impressions below
DIR (`--impressions 100000000` for the large one, `--histories given` for a log that contains a
history with every impression). It trains a baseline and a cell with similarities and adds one row
per cell to results/tables/speed_memory.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.shared import add_row, data_synth, markdown_row
from benchmarks.speed.watching import load, machine, watched
from benchmarks.speed.work import Work, import_log

HEAD = (
    "| impressions | users | items | trained on | image information | samples/s | "
    "samples/CPU second of the process | anonymous memory, GB | as `plan` expects, GB | libraries "
    "alone, GB | resident memory with memory maps, GB | load before | machine |\n"
    "| ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n"
)
LIBRARIES = "import faiss, sklearn, torch, ctrbench.training, ctrbench.runner.cell"


def main() -> None:
    """Make the data set, train the cells, and add the rows."""
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
        sizes = {"users": users, "items": items, "impressions": given.impressions}
        subprocess.run(data_synth(given.home, **sizes), check=True)
    libraries = watched([sys.executable, "-c", f"{LIBRARIES}; import time; time.sleep(1)"])
    for arm in given.arms.split(","):
        ours = [sys.executable, "-m", "benchmarks.speed.ours", "--home", str(given.home)]
        seen = watched([*ours, "--arm", arm, "--dataset", name, "--version", version])
        output = json.loads(seen.printed.splitlines()[-1])
        figures = [
            f"{given.impressions:,}, histories {given.histories}",
            *(f"{count:,}" for count in (users, items, output["rows"])),
            arm,
            f"{output['samples_per_s']:,.0f}",
            f"{output['rows'] / seen.cpu_seconds:,.0f}",
            *(
                f"{kb / 1e6:.2f}"
                for kb in (
                    seen.anonymous_kb,
                    output["expected_memory_kb"],
                    libraries.anonymous_kb,
                    seen.resident_kb,
                )
            ),
            before,
            machine(),
        ]
        add_row("speed_memory.md", HEAD, markdown_row(figures))


if __name__ == "__main__":
    main()
