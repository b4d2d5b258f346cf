"""Compares optimizers of embedding tables by AUC and by deltas.

`python -m benchmarks.optimizers.study --seeds 10 HOME FILE [HOME FILE ...]` runs each
benchmark file once per optimizer of the embedding tables, in its own workspace, and writes
results/tables/optimizers.md: the metrics of the baseline, every delta, and the difference of each
value from that with Adam, paired by seed.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import get_args

import numpy as np
from ruamel.yaml import YAML
from scipy.stats import t as student

from benchmarks.shared import add_studies, markdown_row, studies, trained, write_table
from ctrbench.matrix import read_matrix
from ctrbench.settings import TableOptimizer
from ctrbench.workspace import Workspace

CAPTION = (
    "Percentage points, mean over seeds. In parentheses: the difference from Adam, paired by seed, "
    "with its 95 % confidence interval. Made by `benchmarks/optimizers/study.py`; do not edit."
)
WORDS = ("HOME", "FILE")
METRICS = ("auc", "gauc")
OPTIMIZERS = [optimizer for optimizer in get_args(TableOptimizer) if optimizer != "auto"]
FACTORS = (3.0, 10.0, 30.0, 100.0)  # learning rate of Adagrad over that of Adam, chosen on valid
CHOOSING = 1000  # the seed used to choose the factor


@dataclass(frozen=True)
class TrainedByOptimizer:
    """Metrics of every arm of one file, by optimizer."""

    values: dict[str, dict[str, dict[str, np.ndarray]]]  # optimizer -> arm -> metric -> (S,)
    seconds: dict[str, float]  # optimizer -> mean seconds of training per cell


def main() -> None:
    """Train the files with every optimizer and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_studies(parser, *WORDS)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    lines = [CAPTION]
    for home, file in studies(parser, given.studies, *WORDS):
        found = train(Workspace(Path(home)), Path(file), given.seeds, given.jobs)
        lines += ["", *report(Path(file).stem, given.seeds, found)]
    write_table("optimizers.md", "\n".join(lines))


def train(workspace: Workspace, file: Path, seeds: int, jobs: int) -> TrainedByOptimizer:
    """Train every arm of the file with every optimizer; stored cells are reused.

    Args:
        workspace: The workspace of the data set.
        file: The benchmark file.
        seeds: The number of seeds.
        jobs: The number of cells to train at once.
    """
    values: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    seconds: dict[str, float] = {}
    for optimizer in OPTIMIZERS:
        factor = _factor(workspace, file, jobs) if optimizer == "rowwise_adagrad" else 1.0
        varied = _varied(file, workspace, optimizer, factor, list(range(seeds)))
        cells = list(read_matrix(varied, workspace).cells())
        records = trained(workspace, cells, f"{file.stem}, {optimizer}, factor {factor:g}", jobs)
        values[optimizer] = {}
        for cell in cells:
            name = f"{cell.version_label} / {cell.mode}"
            arm = values[optimizer].setdefault(
                name, {metric: np.empty(seeds) for metric in METRICS}
            )
            for metric in METRICS:
                arm[metric][cell.seed] = getattr(records[cell.hash].metrics["test"], metric)
        seconds[optimizer] = float(
            np.mean([record.seconds["train"] for record in records.values()])
        )
    return TrainedByOptimizer(values, seconds)


def _factor(workspace: Workspace, file: Path, jobs: int) -> float:
    """Return Adagrad's learning rate, relative to Adam's, of the best baseline on valid."""
    found = {}
    for factor in FACTORS:
        varied = _varied(file, workspace, "rowwise_adagrad", factor, [CHOOSING])
        cell = read_matrix(varied, workspace).cell(None, None, CHOOSING)
        (record,) = trained(workspace, [cell], f"factor {factor:g}", jobs).values()
        auc = record.metrics["valid"].auc
        found[factor] = -1.0 if auc is None else auc
    return max(found, key=found.__getitem__)


def report(name: str, seeds: int, found: TrainedByOptimizer) -> list[str]:
    """Return a table with one row per arm and metric and one column per optimizer.

    Args:
        name: The title.
        seeds: The number of seeds.
        found: The metrics.
    """
    optimizers = found.values
    baseline, *arms = optimizers["adam"]
    lines = [
        f"**{name}**, {seeds} seeds",
        "",
        "| | " + " | ".join(optimizers) + " |",
        "|---|" + "---:|" * len(optimizers),
    ]
    for metric in METRICS:
        levels = {optimizer: arms_of[baseline][metric] for optimizer, arms_of in optimizers.items()}
        lines.append(_row(f"{metric.upper()} of the baseline", levels))
        for arm in arms:
            deltas = {
                optimizer: of[arm][metric] - of[baseline][metric]
                for optimizer, of in optimizers.items()
            }
            lines.append(_row(f"delta {metric.upper()} of {arm}", deltas))
    seconds = [f"{found.seconds[optimizer]:.1f}" for optimizer in optimizers]
    return [*lines, markdown_row(["seconds of training per cell", *seconds])]


def _row(name: str, values: dict[str, np.ndarray]) -> str:
    places = []
    for optimizer, found in values.items():
        text = f"{100 * found.mean():.3f}"
        if optimizer != "adam":
            difference = 100 * (found - values["adam"])
            error = difference.std(ddof=1) / np.sqrt(len(difference))
            half_width = student.ppf(0.975, len(difference) - 1) * error
            text += f" ({difference.mean():+.3f} ± {half_width:.3f})"
        places.append(text)
    return markdown_row([name, *places])


def _varied(
    file: Path, workspace: Workspace, optimizer: str, factor: float, seeds: list[int]
) -> Path:
    """Write the file with another optimizer and other seeds into the workspace."""
    yaml = YAML()
    content = yaml.load(file.read_text(encoding="utf-8"))
    training = content.setdefault("training", {})
    training |= {"table_optimizer": optimizer, "table_learning_rate_factor": factor}
    content["seeds"] = seeds
    content["repeat_baseline"] = False
    content.pop("slices", None)
    content.pop("tune", None)
    path, text = workspace.home / f"{file.stem}-{optimizer}.yaml", StringIO()
    yaml.dump(content, text)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
