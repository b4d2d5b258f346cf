"""Time of a whole matrix, compared with the same trainings in FuxiCTR's pipeline.

`python -m benchmarks.speed.matrix --root DIR` times `ctrbench run` on a baseline and three versions
in three modes, `--seeds` each, five by default (50 cells: preparation, training, metrics,
statistics, table). It
then times as many trainings with FuxiCTR, two processes at a time; each version is prepared once.
FuxiCTR has no similarity scores; its baseline, which is faster, replaces them. The script writes
results/tables/speed_matrix.md.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.shared import ctrbench, markdown_row, write_table
from benchmarks.speed.training import AT_ONCE, install, run_peer
from benchmarks.speed.watching import load, machine
from benchmarks.speed.work import PERIODS, Work, import_log
from ctrbench.store import Store
from ctrbench.workspace import Workspace

VERSIONS = 3
STAND_IN = {"vector": "vector", "sim_score": "none", "cluster_id": "cluster_id"}
FILE = """\
dataset: {name}
versions: [v1, v2, v3]
modes:
  vector: {{}}
  sim_score: {{}}
  cluster_id: {{}}
seeds: {seeds}
controls: []
model: {{field_embedding_size: 16}}
repeat_baseline: false
"""


def main() -> None:
    """Prepare the data, time both libraries, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of logs and environments")
    parser.add_argument("--impressions", type=int, default=Work.impressions)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    root, name, before = given.root.resolve(), f"matrix_{given.impressions}", load()
    if not (root / "data" / name).exists():
        root.mkdir(parents=True, exist_ok=True)
        import_log(Work(impressions=given.impressions), root, name)
        for version in range(2, VERSIONS + 1):
            _add_version(root, name, version)
    install(root, ["fuxictr"])
    ours_s = _ours(root, name, given.seeds)
    print(f"ctrbench: {ours_s:.0f} s", flush=True)
    theirs_s, measured = _theirs(root, name, given.seeds)
    cells = given.seeds * (1 + VERSIONS * len(STAND_IN))
    prepared_s = sum(one["prepare_s"] for one in measured)
    write_table(
        "speed_matrix.md",
        f"{cells} cells of {given.impressions:,} training impressions, {AT_ONCE} processes of one "
        f"thread. Preparation: summed over processes. {date.today()}, {machine()}, load before "
        f"{before}. Made by `benchmarks/speed/matrix.py`; do not edit.\n\n"
        "| | seconds | preparation, s | ratio |\n|---|---:|---:|---:|\n"
        f"| ctrbench run, to the printed table | {ours_s:,.0f} | | |\n"
        f"| FuxiCTR, to stored predictions | {theirs_s:,.0f} | {prepared_s:,.0f} | "
        f"{theirs_s / ours_s:.1f} |\n\nAUC on test, mean over seeds and versions:\n\n"
        "| image information | ctrbench | FuxiCTR |\n|---|---:|---:|\n"
        f"{_aucs(root, name, measured)}",
    )


def _ours(root: Path, name: str, seeds: int) -> float:
    """Return the seconds from the imported data to the table."""
    for made in (root / "results" / name, root / "cache" / "prepared" / name):
        shutil.rmtree(made, ignore_errors=True)
    file = root / f"{name}.yaml"
    file.write_text(FILE.format(name=name, seeds=list(range(seeds))), encoding="utf-8")
    start = time.monotonic()
    subprocess.run(ctrbench(root, "run", file, "--no-report"), check=True)
    return time.monotonic() - start


def _theirs(root: Path, name: str, seeds: int) -> tuple[float, list[dict[str, Any]]]:
    """Return total seconds and the output of each cell; the first cell of a version prepares."""
    work = root / "peers" / name
    shutil.rmtree(work, ignore_errors=True)
    start = time.monotonic()
    cells = [(1, "none", seed) for seed in range(seeds)]
    cells += [
        (version, arm, seed)
        for version in range(1, VERSIONS + 1)
        for arm in STAND_IN.values()
        for seed in range(seeds)
    ]
    first = {(version, arm): (version, arm, seed) for version, arm, seed in reversed(cells)}

    def train(cell: tuple[int, str, int]) -> dict[str, Any]:
        version, arm, seed = cell
        log = root / (f"{name}.log" if version == 1 else f"{name}.v{version}.log")
        output = run_peer("fuxictr", arm, root, log, work / f"v{version}", seed)
        return output if cell in first.values() else output | {"prepare_s": 0.0}

    with ThreadPoolExecutor(
        AT_ONCE
    ) as pool:  # cells that prepare files come first, so that no other cell waits
        ordered = [*first.values(), *(cell for cell in cells if cell not in first.values())]
        outputs = list(pool.map(train, ordered))
    return time.monotonic() - start, outputs


def _aucs(root: Path, name: str, outputs: list[dict[str, Any]]) -> str:
    """Return one row per arm that both libraries have."""
    ours = [
        (one.cell.mode, one.metrics["test"].auc)
        for one in Store(Workspace(root)).records(name)
        if one.status == "done"
    ]
    rows = ""
    for arm in ("none", "vector", "cluster_id"):
        mean = fmean(auc for mode, auc in ours if mode == arm and auc is not None)
        theirs = fmean(one["auc"] for one in outputs if one["arm"] == arm)
        rows += markdown_row([arm, f"{mean:.4f}", f"{theirs:.4f}"]) + "\n"
    return rows


def _add_version(root: Path, name: str, version: int) -> None:
    """Add noisy vectors: a version for ctrbench, a log with other vectors for FuxiCTR."""
    log, other = root / f"{name}.log", root / f"{name}.v{version}.log"
    other.mkdir()
    for file in (*(f"{period}.parquet" for period in PERIODS), "items.parquet"):
        (other / file).symlink_to(log / file)
    with np.load(log / "vectors.npz") as arrays:
        key, value = arrays["key"], arrays["value"]
    noise = np.random.default_rng(version).normal(0, version, value.shape)
    np.savez(other / "vectors.npz", key=key, value=(value + noise).astype(np.float32))
    given = ["--dataset", name, "--vectors", other / "vectors.npz"]
    subprocess.run(ctrbench(root, "embeddings", "add", f"v{version}", *given), check=True)


if __name__ == "__main__":
    main()
