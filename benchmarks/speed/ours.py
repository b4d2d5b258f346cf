"""Trains one cell of ctrbench as a run does, and prints the fields of the peers' adapters.

`python -m benchmarks.speed.ours --home DIR --arm vector --seed 0` reads the data set `work` and the
prepared arrays of a workspace. It writes results to another folder, so that the cell is always
trained.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ctrbench import embeddings, plugins
from ctrbench.executors import keep_freed_memory
from ctrbench.matrix import read_matrix
from ctrbench.runner.cell import run_cell
from ctrbench.runner.memory import CellMemory, expected_memory
from ctrbench.schema import CellRecord, DatasetManifest
from ctrbench.workspace import Workspace

ARMS = plugins.names("ctrbench.injection")  # includes "none", the baseline
FILE = """\
dataset: {dataset}
versions: [{version}]
modes:
  {mode}: {{}}
seeds: [{seed}]
model: {{field_embedding_size: 16, fields: [{field}], attention_weights: {weights}}}
training: {training}
repeat_baseline: false
"""


def main() -> None:
    """Train one cell and print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--dataset", default="work")
    parser.add_argument("--version", help="the first version by name if omitted")
    parser.add_argument("--arm", choices=ARMS, default="none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--field", default="category", help="the item field that the model receives"
    )
    parser.add_argument("--training", default="{}", help="settings in YAML")
    given = parser.parse_args()
    keep_freed_memory()
    with tempfile.TemporaryDirectory(dir=given.home) as folder:
        home = Path(folder)
        for name in ("data", "embeddings", "cache"):
            (home / name).symlink_to((given.home / name).resolve())
        file = home / "speed.yaml"
        mode = "vector" if given.arm == "none" else given.arm
        weights = "softmax" if given.arm == "sim_attention" else "plain"  # requires a softmax
        version = given.version or embeddings.names(Workspace(home), given.dataset)[0]
        settings = vars(given) | {"version": version, "mode": mode, "weights": weights}
        file.write_text(FILE.format(**settings), encoding="utf-8")
        matrix = read_matrix(file, Workspace(home))
        row = None if given.arm == "none" else matrix.rows[0]
        cell = matrix.cell(row, matrix.columns[0], given.seed)
        record = run_cell(Workspace(home), cell, (), {}, lambda share: None)
        total_s = _since_start()
        expected = expected_memory(Workspace(home), cell)
    if record is None or record.status != "done":
        raise SystemExit(f"the cell failed: {record.reason if record else 'it is locked'}")
    print(json.dumps(_measured(record, matrix.dataset, given.arm, total_s, expected)), flush=True)


def _measured(
    record: CellRecord, dataset: DatasetManifest, arm: str, total_s: float, expected: CellMemory
) -> dict[str, Any]:
    first, last = dataset.periods["train"]
    train_s, predict_s = record.seconds["train"], record.seconds["predict"]
    peak_bytes = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "library": "ctrbench",
        "version": version("ctrbench"),
        "torch": torch.__version__,
        "arm": arm,
        "rows": last - first,
        "threads": 1,
        "seed": record.cell.seed,
        "prepare_s": record.seconds["prepare"],
        "start_s": total_s - train_s - predict_s,
        "train_s": train_s,
        "samples_per_s": (last - first) / train_s,
        "predict_s": predict_s,
        "total_s": total_s,
        "auc": record.metrics["test"].auc,
        "gauc": record.metrics["test"].gauc,
        "parameters": record.parameters,
        "peak_memory_mb": peak_bytes / 2**20,
        "expected_memory_kb": expected.total / 1000,
        "seconds": record.seconds,
    }


def _since_start() -> float:
    """Return the seconds since the start of the process. Requires Linux (/proc)."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    begin = ticks / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - begin


if __name__ == "__main__":
    main()
