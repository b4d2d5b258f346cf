"""Training speed on a GPU by mode, precision and number of concurrent cells, and its agreement.

`python -m benchmarks.speed.gpu --home DIR` takes at most 8 minutes (`--minutes`; what does not fit
is named) and writes results/tables/speed_gpu.md, with the name of the GPU. `--device cpu` runs the
same on a CPU, without the compiled graph, and prints the table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from benchmarks.shared import write_table
from benchmarks.speed.watching import load, machine
from benchmarks.speed.work import Work, import_log
from ctrbench import plugins
from ctrbench.executors import Processes
from ctrbench.impressions import open_impressions
from ctrbench.injection import BASELINE
from ctrbench.matrix import read_matrix
from ctrbench.metrics import auc
from ctrbench.runner import run_cells
from ctrbench.runner.parts import CellParts, build
from ctrbench.runner.run import SILENT
from ctrbench.schema import Cell
from ctrbench.store import Store
from ctrbench.training import fit, predict
from ctrbench.workspace import Workspace

AGREED = BASELINE, "vector", "sim_score", "cluster_id"
NAME, BATCH_SIZES, AT_ONCE = "work", (1024, 8192), (1, 2, 4, 8)
FILE = """\
dataset: work
versions: [v1]
modes:
  {mode}: {{}}
seeds: {seeds}
controls: []
repeat_baseline: false
model: {{field_embedding_size: 16, attention_weights: {weights}}}
training: {{device: {device}, precision: {precision}, batch_size: {batch_size}}}
"""


@dataclass
class Budget:
    """Stops new measurements after a time."""

    minutes: float
    start: float = field(default_factory=time.monotonic)
    left_out: list[str] = field(default_factory=list)

    def allows(self, name: str) -> bool:
        """Return whether time is left; else the name is kept."""
        if time.monotonic() - self.start < 60 * self.minutes:
            return True
        self.left_out.append(name)
        return False


@dataclass(frozen=True)
class Place:
    """The workspace and device of all measurements."""

    workspace: Workspace
    device: str

    def parts(self, mode: str, precision: str, batch_size: int, device: str = "") -> CellParts:
        """Return the parts of a cell with a new model."""
        cell = self.cells(mode, [0], precision, batch_size, device or self.device)[0]
        return build(self.workspace, cell)

    def cells(
        self, mode: str, seeds: list[int], precision: str, batch_size: int, device: str
    ) -> list[Cell]:
        """Return the cells of a mode, one per seed; those of the baseline for `none`."""
        matrix = read_matrix(self.file(mode, seeds, precision, batch_size, device), self.workspace)
        row = None if mode == BASELINE else matrix.rows[0]
        return [matrix.cell(row, matrix.columns[0], seed) for seed in seeds]

    def file(
        self, mode: str, seeds: list[int], precision: str, batch_size: int, device: str
    ) -> Path:
        """Write and return a benchmark file."""
        path = self.workspace.home / "gpu.yaml"
        text = FILE.format(
            mode="vector" if mode == BASELINE else mode,
            seeds=seeds,
            weights="softmax" if mode == "sim_attention" else "plain",
            device=device,
            precision=precision,
            batch_size=batch_size,
        )
        path.write_text(text, encoding="utf-8")
        return path


def main() -> None:
    """Measure within the time and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="empty folder for the log")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--impressions", type=int, default=300_000)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--modes", default=",".join(plugins.names("ctrbench.injection")))
    given = parser.parse_args()
    on_gpu = given.device.startswith("cuda")
    name = torch.cuda.get_device_name(given.device) if on_gpu else machine()
    budget, before = Budget(given.minutes), load()
    given.home.mkdir(parents=True, exist_ok=True)
    import_log(Work(given.impressions), given.home, NAME)
    place = Place(Workspace(given.home), given.device)
    _seconds(place.parts(BASELINE, "float32", BATCH_SIZES[0]))  # starts the device
    modes = given.modes.split(",")
    lines = [
        f"{name}, torch {torch.__version__}, {given.impressions:,} training impressions, load "
        f"before {before}. Made by `benchmarks/speed/gpu.py`; do not edit.",
        *_agreement(place, [mode for mode in AGREED if mode in (BASELINE, *modes)], budget),
        *_by_mode(place, [BASELINE, *modes], budget),
        *_at_once(place, given.impressions, budget),
        *(_compiled(place, given.impressions, budget) if on_gpu else []),
    ]
    if budget.left_out:
        lines += ["", f"Left out after {given.minutes:g} minutes: {', '.join(budget.left_out)}."]
    text = "\n".join(lines)
    write_table("speed_gpu.md", text) if on_gpu else print(text)


def _seconds(parts: CellParts) -> float:
    """Return the seconds of the training; its last point of the curve waits for the device."""
    start = time.perf_counter()
    fit(parts.model, parts.packer, parts.training, 0, lambda share: None)
    return time.perf_counter() - start


def _by_mode(place: Place, modes: Iterable[str], budget: Budget) -> list[str]:
    kinds = [(precision, size) for precision in ("float32", "bfloat16") for size in BATCH_SIZES]
    heads = [f"{precision}, batch {size:,}" for precision, size in kinds]
    lines = ["", "Samples/s of the training:", "", f"| image information | {' | '.join(heads)} |"]
    lines.append(f"|---|{'---:|' * len(kinds)}")
    for mode in dict.fromkeys(modes):
        shown = []
        for (precision, size), head in zip(kinds, heads, strict=True):
            if budget.allows(f"{mode}, {head}"):
                parts = place.parts(mode, precision, size)
                rows = parts.slots.impressions.rows("train")
                shown.append(f"{(rows.stop - rows.start) / _seconds(parts):,.0f}")
            else:
                shown.append("")
        lines.append(f"| {mode} | {' | '.join(shown)} |")
    return lines


def _agreement(place: Place, modes: Iterable[str], budget: Budget) -> list[str]:
    """Compare the predictions of a cell with those on the CPU, and half with full precision."""
    test = open_impressions(place.workspace, NAME)
    click = test.click[test.rows("test")]

    def predicted(mode: str, precision: str, device: str) -> np.ndarray:
        parts = place.parts(mode, precision, BATCH_SIZES[0], device)
        _seconds(parts)
        return predict(parts.model, parts.packer, "test", lambda share: None)

    lines = [
        "",
        "Agreement with the CPU, and effect of bfloat16, on the predictions of the test period:",
        "",
        "| image information | largest difference | AUC on the CPU | AUC - that on the CPU, pp | "
        "AUC with bfloat16 - AUC, pp |",
        "|---|---:|---:|---:|---:|",
    ]
    for mode in dict.fromkeys(modes):
        if budget.allows(f"agreement of {mode}"):
            cpu = predicted(mode, "float32", "cpu")
            here = predicted(mode, "float32", place.device)
            half = predicted(mode, "bfloat16", place.device)
            of_cpu, of_here, of_half = (auc(click, p) for p in (cpu, here, half))
            lines.append(
                f"| {mode} | {np.abs(cpu - here).max():.1e} | {of_cpu:.4f} | "
                f"{100 * (of_here - of_cpu):+.3f} | {100 * (of_half - of_here):+.3f} |"
            )
    return lines


def _at_once(place: Place, rows: int, budget: Budget) -> list[str]:
    lines = ["", "Concurrent cells without images on one device:", ""]
    lines += ["| cells | samples/s of all | samples/s of each |", "|---:|---:|---:|"]
    for count in AT_ONCE:
        if budget.allows(f"{count} cells at once"):
            seeds = list(range(100 * count, 101 * count))
            file = place.file(BASELINE, seeds, "float32", BATCH_SIZES[0], place.device)
            matrix = read_matrix(file, place.workspace)
            cells = [matrix.cell(None, matrix.columns[0], seed) for seed in seeds]
            run_cells(place.workspace, cells, (), Processes(count), SILENT)
            records = (Store(place.workspace).read(cell) for cell in cells)
            seconds = [one.seconds["train"] for one in records if one is not None]
            each = [rows / one for one in seconds]
            lines.append(f"| {count} | {count * rows / max(seconds):,.0f} | {np.mean(each):,.0f} |")
    return lines


def _compiled(place: Place, rows: int, budget: Budget) -> list[str]:
    """Time a second training with the same compiled model: the first one compiles it."""
    lines = ["", "Model compiled by torch.compile with dynamic shapes, samples/s:", ""]
    for size in BATCH_SIZES:
        if budget.allows(f"compiled, batch {size:,}"):
            parts = place.parts(BASELINE, "float32", size)
            parts.model.compile(dynamic=True)
            first = _seconds(parts)
            lines.append(
                f"- batch {size:,}: {rows / _seconds(parts):,.0f}; the first epoch took "
                f"{first:.0f} s with compilation"
            )
    return lines


if __name__ == "__main__":
    main()
