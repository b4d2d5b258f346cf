"""Trains baselines of the map again, on this machine, to see what rounding changes.

`python -m benchmarks.regimes.rounding --root DIR --point main-1500k-0 --replicate 0` adds a row to
results/tables/regimes_rounding.csv: without and, with `--averaged`, with averaged weights; with
`--device cuda`, on a GPU. The row names what the training used. On one CPU it is deterministic.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.regimes.averaged import SHARE
from benchmarks.regimes.study import TRAINING, add_rows, points
from benchmarks.shared import TABLES, trained
from ctrbench.loops import load_loops
from ctrbench.matrix import read_matrix
from ctrbench.workspace import Workspace
from data_synth.writing import write_world

ROUNDING = TABLES / "regimes_rounding.csv"


def main() -> None:
    """Train a baseline and add its row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder for the world")
    parser.add_argument("--point", required=True, help="a point of the map")
    parser.add_argument("--replicate", type=int, required=True)
    parser.add_argument("--averaged", action="store_true")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    row = baseline_row(given.point, given.replicate, given.averaged, given.device, given.root)
    add_rows([row], ROUNDING)


def baseline_row(
    name: str, replicate: int, averaged: bool, device: str, home: Path
) -> dict[str, object]:
    """Make a world, train the baseline of its first benchmark file, and return its row.

    Args:
        name: The name of the point.
        replicate: The number of the replicate.
        averaged: Whether to average the weights of the last part of the training.
        device: The device of the training.
        home: A folder for the world, which is removed.
    """
    share = SHARE if averaged else 0
    training = TRAINING | {"device": device, "weight_averaging": share}
    point = next(one for one in points() if one.name == name)
    write_world(point.config(replicate), home)
    workspace, file = Workspace(home), home / "0.yaml"
    file.write_text(next(replace(point, training=training).files(replicate)), encoding="utf-8")
    cells = [cell for cell in read_matrix(file, workspace).cells() if cell.version is None]
    (record,) = trained(workspace, cells, f"{name} {replicate}", 1).values()
    shutil.rmtree(home)
    on = "GPU" if torch.device(device).type == "cuda" else "CPU"
    if on == "CPU" and load_loops() is None:
        on = "CPU without compiled loops"
    gauc = record.metrics["test"].value("gauc")
    place = {"point": name, "replicate": replicate, "trained_on": on}
    return place | {"weight_averaging": share, "gauc": f"{gauc:.6f}"}


if __name__ == "__main__":
    main()
