"""Compare optimizers of embedding tables by AUC and by deltas.

`python -m benchmarks.optimizers.study --seeds 10 HOME FILE [HOME FILE ...]` runs each
benchmark file once per optimizer of the embedding tables, in its own workspace, and writes
results/tables/optimizers.md: the baseline's metrics, every delta, and the difference of each from
Adam's, paired by seed.
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
WAYS = [way for way in get_args(TableOptimizer) if way != "auto"]
FACTORS = (3.0, 10.0, 30.0, 100.0)  # Adagrad's learning rate over Adam's; chosen on valid
CHOOSING = 1000  # the seed of that choice


@dataclass(frozen=True)
class Trained:
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


def train(workspace: Workspace, file: Path, seeds: int, jobs: int) -> Trained:
    """Train every arm of the file with every optimizer; stored cells are reused.

    Args:
        workspace: The workspace of the data set.
        file: The benchmark file.
        seeds: The number of seeds.
        jobs: The number of cells to train at once.
    """
    values: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    seconds: dict[str, float] = {}
    for way in WAYS:
        factor = _factor(workspace, file, jobs) if way == "rowwise_adagrad" else 1.0
        varied = _varied(file, workspace, way, factor, list(range(seeds)))
        cells = list(read_matrix(varied, workspace).cells())
        records = trained(workspace, cells, f"{file.stem}, {way}, factor {factor:g}", jobs)
        values[way] = {}
        for cell in cells:
            name = f"{cell.version_label} / {cell.mode}"
            arm = values[way].setdefault(name, {metric: np.empty(seeds) for metric in METRICS})
            for metric in METRICS:
                arm[metric][cell.seed] = getattr(records[cell.hash].metrics["test"], metric)
        seconds[way] = float(np.mean([record.seconds["train"] for record in records.values()]))
    return Trained(values, seconds)


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


def report(name: str, seeds: int, found: Trained) -> list[str]:
    """Return a table with one row per arm and metric and one column per optimizer.

    Args:
        name: The title.
        seeds: The number of seeds.
        found: The metrics.
    """
    ways = found.values
    baseline, *arms = ways["adam"]
    lines = [
        f"**{name}**, {seeds} seeds",
        "",
        "| | " + " | ".join(ways) + " |",
        "|---|" + "---:|" * len(ways),
    ]
    for metric in METRICS:
        levels = {way: arms_of[baseline][metric] for way, arms_of in ways.items()}
        lines.append(_row(f"{metric.upper()} of the baseline", levels))
        for arm in arms:
            deltas = {way: of[arm][metric] - of[baseline][metric] for way, of in ways.items()}
            lines.append(_row(f"delta {metric.upper()} of {arm}", deltas))
    seconds = [f"{found.seconds[way]:.1f}" for way in ways]
    return [*lines, markdown_row(["seconds of training per cell", *seconds])]


def _row(name: str, values: dict[str, np.ndarray]) -> str:
    places = []
    for way, found in values.items():
        text = f"{100 * found.mean():.3f}"
        if way != "adam":
            apart = 100 * (found - values["adam"])
            error = apart.std(ddof=1) / np.sqrt(len(apart))
            half_width = student.ppf(0.975, len(apart) - 1) * error
            text += f" ({apart.mean():+.3f} ± {half_width:.3f})"
        places.append(text)
    return markdown_row([name, *places])


def _varied(file: Path, workspace: Workspace, way: str, factor: float, seeds: list[int]) -> Path:
    """Write the file with another optimizer and other seeds into the workspace."""
    yaml = YAML()
    content = yaml.load(file.read_text(encoding="utf-8"))
    training = content.setdefault("training", {})
    training |= {"table_optimizer": way, "table_learning_rate_factor": factor}
    content["seeds"] = seeds
    content["repeat_baseline"] = False
    content.pop("slices", None)
    content.pop("tune", None)
    path, text = workspace.home / f"{file.stem}-{way}.yaml", StringIO()
    yaml.dump(content, text)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
