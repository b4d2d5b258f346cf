"""Every measurement of this folder, one after the other.

`python benchmarks/speed/all.py --root DIR` takes most of a day on two cores, wants them quiet, and
writes every table below results/tables/ anew or adds its rows; DIR holds logs, worlds and the
peers' environments. A measurement that fails is told at the end, and the others go on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEASUREMENTS = (  # {root}: a folder below DIR that commands may share
    "training.py --root {root}",
    "matrix.py --root {root}",
    "parity.py --root {root} --dataset work_1000000 --seeds 20",
    "scaling.py",
    "memory.py --home {root}/memory",
    "memory.py --home {root}/memory-given --histories given --impressions 3000000",
    "memory.py --home {root}/memory-large --impressions 100000000 --arms none",
    "codebooks.py --home {root}/codebooks",
    "pretraining.py --home {root}/pretraining",
    "encoders.py",
    "metrics.py",
    "inference.py",
    "data_synth.py --home {root}/world",
)


def main() -> None:
    """Run them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of everything")
    root = parser.parse_args().root.resolve()
    root.mkdir(parents=True, exist_ok=True)
    failed = []
    for measurement in MEASUREMENTS:
        name, *words = measurement.split()
        print(f"== {measurement}", flush=True)
        command = [sys.executable, str(HERE / name), *(word.format(root=root) for word in words)]
        if subprocess.run(command, check=False).returncode:
            failed.append(measurement)
    if failed:
        sys.exit("failed: " + "; ".join(failed))


if __name__ == "__main__":
    main()
