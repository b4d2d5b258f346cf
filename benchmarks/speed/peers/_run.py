"""Parts that all adapters share: arguments, cached preparation, clock, report."""

from __future__ import annotations

import argparse
import fcntl
import json
import multiprocessing
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from _log import read_period
from _metrics import auc, gauc
from torch import nn

BATCH, LEARNING_RATE = 1024, 1e-3
WIDTH, ATTENTION, TOP = 16, [64, 32], [200, 80]
EMBEDDING_STD = 0.01


@dataclass(frozen=True)
class Task:
    """One run, as specified on the command line."""

    library: str  # name of the distribution
    log: Path
    work: Path
    seed: int
    threads: int
    arm: str
    rows: int | None  # training impressions; None: all

    @property
    def name(self) -> str:
        """Return the name of prepared files below `work`, which do not depend on the seed."""
        return f"{self.library}-{self.arm}-{self.rows or 'all'}"


def task_from_arguments(library: str, arms: tuple[str, ...] = ("none",)) -> Task:
    """Parse the command line and set the number of torch threads.

    Args:
        library: The name of the distribution.
        arms: The arms that the adapter supports.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=_path, required=True, help="folder of a log made by work.py")
    parser.add_argument(
        "--work", type=_path, required=True, help="folder of prepared files and predictions"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--arm", choices=arms, default="none", help="image information")
    parser.add_argument("--rows", type=int, help="training impressions; all if omitted")
    task = Task(library=library, **vars(parser.parse_args()))
    torch.set_num_threads(task.threads)
    return task


def prepared(task: Task, clock: Clock, prepare: Callable[[Task, Path], None]) -> tuple[Path, float]:
    """Return the folder that `prepare` fills, and the seconds of the preparation.

    The preparation runs in a separate process, so that training does not include its memory and
    time.

    Args:
        task: The run.
        clock: The clock, which excludes the preparation.
        prepare: Writes the prepared files of a task into a folder.
    """
    folder = task.work / task.name
    known = folder / "prepared.json"
    task.work.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    with (task.work / f"{task.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one process prepares, others wait
        if not known.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            spawned = multiprocessing.get_context("spawn")
            process = spawned.Process(target=_prepare, args=(task, folder, known, prepare))
            process.start()
            process.join()
            if process.exitcode != 0:
                raise SystemExit(f"preparing {task.name} failed: exit code {process.exitcode}")
    clock.aside_s = time.perf_counter() - begin
    facts = json.loads(known.read_text())
    if facts["log"] != str(task.log):
        raise SystemExit(f"{folder} belongs to the log {facts['log']}. Use another --work.")
    return folder, facts["prepare_s"]


def _prepare(task: Task, folder: Path, known: Path, prepare: Callable[[Task, Path], None]) -> None:
    begin = time.perf_counter()
    prepare(task, folder)
    facts = {"log": str(task.log), "prepare_s": time.perf_counter() - begin}
    known.write_text(json.dumps(facts))


@dataclass
class Clock:
    """Seconds since the start of the process, without the preparation."""

    aside_s: float = 0.0
    marks: dict[str, float] = field(default_factory=dict)

    def mark(self, name: str) -> None:
        """Record the time under a name."""
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        begin = ticks / os.sysconf("SC_CLK_TCK")
        self.marks[name] = time.clock_gettime(time.CLOCK_BOOTTIME) - begin - self.aside_s

    def mark_first_batch(self, module: nn.Module) -> None:
        """Record the time of the first call of a module."""

        def first(*_: object) -> None:
            self.mark("first batch")
            handle.remove()

        handle = module.register_forward_pre_hook(first)


def report(
    task: Task, clock: Clock, prepare_s: float, model: nn.Module, p_click: np.ndarray
) -> None:
    """Store the predictions and print the measurements as JSON on the last line.

    Args:
        task: The run.
        clock: The recorded times.
        prepare_s: The seconds of the preparation.
        model: The trained model.
        p_click: (N,) float, predictions of the test period.
    """
    stored = task.work / f"{task.name}-seed{task.seed}-threads{task.threads}.npy"
    np.save(stored, p_click)
    clock.mark("stored")
    peak_bytes = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start_s, trained_s, total_s = (clock.marks[at] for at in ("first batch", "trained", "stored"))
    test = read_period(task.log, "test")
    rows = min(task.rows or sys.maxsize, pq.read_metadata(task.log / "train.parquet").num_rows)
    trained = (weight.numel() for weight in model.parameters() if weight.requires_grad)
    measured = {
        "library": task.library,
        "version": version(task.library),
        "torch": torch.__version__,
        "arm": task.arm,
        "rows": rows,
        "threads": task.threads,
        "seed": task.seed,
        "prepare_s": prepare_s,
        "start_s": start_s,
        "train_s": trained_s - start_s,
        "samples_per_s": rows / (trained_s - start_s),
        "predict_s": total_s - trained_s,
        "total_s": total_s,
        "auc": auc(test.click, p_click),
        "gauc": gauc(test.click, p_click, test.user_id),
        "parameters": sum(trained),
        "peak_memory_mb": peak_bytes / 2**20,
        "predictions": str(stored),
    }
    print(json.dumps(measured), flush=True)


def _path(text: str) -> Path:
    return Path(text).resolve()  # a library may change the current folder
