"""Memory of pre-training on a small and on a large data set, measured from outside.

`python -m benchmarks.speed.pretraining --home DIR` makes worlds `taste` of 50,000 and 200,000
impressions below DIR, the large one with four times the items and pictures. It trains one epoch of
each method and writes results/tables/speed_pretraining.md.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.shared import ctrbench, data_synth, write_table
from benchmarks.speed.watching import machine, watched

IMPRESSIONS = (50_000, 200_000)
METHODS = {  # options of the input by method
    "simclr": ["--images"],
    "courier": ["--images"],
    "courier on a version": ["--from-version", "oracle"],
}
EPOCH = ["--set", "training.epochs=1", "--allow-collapsed"]
LIBRARIES = "import torch, torchvision, ctrbench.pretraining, ctrbench.cli.main"


def main() -> None:
    """Make the worlds, train the methods, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder for the worlds")
    given = parser.parse_args()
    libraries = watched([sys.executable, "-c", f"{LIBRARIES}; import time; time.sleep(1)"])
    rows = ""
    for impressions in IMPRESSIONS:
        world = given.home / str(impressions)
        items = impressions // 100
        if not (world / "data" / "taste").exists():
            sizes = {"impressions": impressions, "users": items, "items": items}
            subprocess.run(data_synth(world, pictures=64, **sizes), check=True)
        for name, source in METHODS.items():
            version = name.replace(" ", "-")
            shutil.rmtree(world / "embeddings" / "taste" / version, ignore_errors=True)
            words = [name.split()[0], "--dataset", "taste", "--version", version]
            seen = watched(ctrbench(world, "pretrain", *words, *source, *EPOCH))
            rows += (
                f"| {name} | {impressions:,} | {items:,} | "
                f"{seen.anonymous_kb / 1e6:.2f} | {seen.resident_kb / 1e6:.2f} |\n"
            )
            print(rows.splitlines()[-1], flush=True)
    write_table(
        "speed_pretraining.md",
        f"One epoch, batches of 256 lines or items, images in parts of 512. Libraries alone: "
        f"{libraries.anonymous_kb / 1e6:.2f} GB anonymous. {machine()}. "
        "Made by `benchmarks/speed/pretraining.py`; do not edit.\n\n"
        "| method | impressions | items | anonymous memory, GB | resident memory with memory maps, "
        f"GB |\n|---|---:|---:|---:|---:|\n{rows}",
    )


if __name__ == "__main__":
    main()
