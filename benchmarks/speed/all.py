"""Runs every measurement of this folder in sequence.

`python -m benchmarks.speed.all --root DIR` takes most of a day on two idle cores.
It writes the tables below results/tables/ or adds rows to them. DIR contains logs, worlds and the
peers' environments. If a measurement fails, the others still run; failures are listed at the end.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

MEASUREMENTS = (  # {root}: DIR
    "training --root {root}",
    "matrix --root {root}",
    "parity --root {root} --dataset work_1000000 --seeds 20",
    "scaling",
    "memory --home {root}/memory",
    "memory --home {root}/memory-given --histories given --impressions 3000000",
    "memory --home {root}/memory-large --impressions 100000000 --arms none",
    "codebooks --home {root}/codebooks",
    "pretraining --home {root}/pretraining",
    "encoders",
    "metrics",
    "inference",
    "data_synth --home {root}/world",
)


def main() -> None:
    """Run the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--root", type=Path, required=True, help="folder of logs, worlds and environments"
    )
    root = parser.parse_args().root.resolve()
    root.mkdir(parents=True, exist_ok=True)
    failed = []
    for measurement in MEASUREMENTS:
        name, *words = measurement.split()
        print(f"== {measurement}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.speed.{name}"]
        command += [word.format(root=root) for word in words]
        if subprocess.run(command, check=False).returncode:
            failed.append(measurement)
    if failed:
        sys.exit("failed: " + "; ".join(failed))


if __name__ == "__main__":
    main()
