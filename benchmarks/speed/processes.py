"""Speed of one cell in several processes.

`python -m benchmarks.speed.processes --home DIR` trains the baseline on the data set `work` with
one process, two processes, and one process of two threads in turn. It writes
results/tables/speed_processes.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch

from benchmarks.shared import write_table
from benchmarks.speed.watching import load, machine
from ctrbench.cli._processes import processes
from ctrbench.distributed import Processes
from ctrbench.executors import keep_freed_memory
from ctrbench.matrix import read_matrix
from ctrbench.runner.parts import build
from ctrbench.training import fit, optimizers
from ctrbench.workspace import Workspace

FILE = """\
dataset: work
versions: none
seeds: 1
repeat_baseline: false
training: {{batch_size: {batch}}}
"""
KINDS = {"1 process": (1, 1), "2 processes": (2, 1), "1 process, 2 threads": (1, 2)}
BATCHES = 1024, 4096


def main() -> None:
    """Time all kinds in turn; with --threads, time this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=BATCHES[0])
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    if given.threads:
        with processes():
            _train(given.home, given.batch, given.threads)
        return
    lines = ["| batch | kind | samples/s | processor s per million samples |", "|---|---|---|---|"]
    loads = [load()]
    for batch in BATCHES:
        found: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
        for _ in range(given.repeats):
            for kind, (count, threads) in KINDS.items():
                found[kind].append(_timed(given.home, batch, count, threads))
                loads.append(load())
                print(batch, kind, found[kind][-1], loads[-1], file=sys.stderr, flush=True)
        for kind, runs in found.items():
            speed = median(run["samples"] / run["wall_s"] for run in runs)
            work = median(1e6 * run["processor_s"] / run["samples"] for run in runs)
            lines.append(f"| {batch:,} | {kind} | {speed:,.0f} | {work:,.0f} |")
    samples = int(runs[0]["samples"])
    note = (
        f"Baseline (DIN), {samples:,} training impressions, median of {given.repeats} alternating "
        f"runs. {machine()}. Load average before the runs: {min(loads):.1f} to {max(loads):.1f}."
    )
    write_table("speed_processes.md", "\n".join([*lines, "", note, ""]))


def _timed(home: Path, batch: int, count: int, threads: int) -> dict[str, float]:
    """Return the measurements of one training."""
    words = ["-m", "benchmarks.speed.processes", "--home", str(home)]
    words += ["--batch", str(batch), "--threads", str(threads)]
    if count > 1:
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        words = [*launch, *words]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, *words], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout)


def _train(home: Path, batch: int, threads: int) -> None:
    """Train the baseline and print the seconds of the training."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    workspace, across = Workspace(home), Processes()
    file = home / f"processes-{batch}.yaml"
    if across.rank == 0:
        file.write_text(FILE.format(batch=batch), encoding="utf-8")
    across.total(0)  # the file exists
    cell = read_matrix(file, workspace).cell(None, None, 0)
    parts = build(workspace, cell)
    chosen = optimizers(parts.model, parts.training)
    across.total(0)
    start, busy = time.perf_counter(), time.process_time()
    curve = fit(parts.model, parts.packer, parts.training, 0, lambda share: None, chosen)
    wall_s = time.perf_counter() - start
    processor_s = across.total(time.process_time() - busy)
    if across.rank == 0:
        samples = curve[-1].impressions
        found = {"samples": samples, "wall_s": wall_s, "processor_s": processor_s}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
