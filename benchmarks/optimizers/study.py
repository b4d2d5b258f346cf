"""Do optimisers that touch a batch's rows alone change the AUC, or a delta?

`python benchmarks/optimizers/study.py --seeds 10 HOME FILE [HOME FILE ...]` runs each benchmark
file once for every way to train the embedding tables, in its own workspace, and writes
results/tables/optimizers.md: the baseline's metrics, every delta, and by how much each differs from
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

from ctrbench.matrix import read_matrix
from ctrbench.runner import missing_cells, run_cells, stored_records
from ctrbench.schema import Cell, CellRecord
from ctrbench.settings import TableOptimizer
from ctrbench.workspace import Workspace

FOLDER = Path(__file__).resolve().parents[2] / "results" / "tables"
METRICS = ("auc", "gauc")
WAYS = [way for way in get_args(TableOptimizer) if way != "auto"]
FACTORS = (
    3.0,
    10.0,
    30.0,
    100.0,
)  # of Adam's learning rate, for Adagrad; the best on valid is taken
CHOOSING = 1000  # the seed it is chosen on


@dataclass(frozen=True)
class Trained:
    """Metrics of every arm of one file by way: (S,) each."""

    values: dict[str, dict[str, dict[str, np.ndarray]]]  # way -> arm -> metric
    seconds: dict[str, float]  # way -> mean seconds of training a cell


class Silent:
    """An observer that only says what was done."""

    def begin(self, what: str, cells: int, missing: int) -> None:
        """How much there is to do."""
        print(f"{what}: {missing} of {cells} cells to train", flush=True)

    def progress(self, cell: Cell, share: float) -> None:
        """Nothing to say."""

    def finished(self, record: CellRecord) -> None:
        """One line."""
        print(record.cell.label, record.cell.seed, record.status, flush=True)


def main() -> None:
    """Train, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="+", help="HOME FILE, as often as wanted")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    if len(given.studies) % 2:
        parser.error("give HOME FILE for every study")
    told = [
        "Percentage points, mean over seeds; in brackets how far from Adam's, with its 95 % "
        "interval, paired by seed. Made by `benchmarks/optimizers/study.py`; do not edit."
    ]
    for home, file in zip(given.studies[::2], given.studies[1::2], strict=True):
        trained = train(Workspace(Path(home)), Path(file), given.seeds, given.jobs)
        told += ["", *report(Path(file).stem, given.seeds, trained)]
    path = FOLDER / "optimizers.md"
    path.write_text("\n".join(told) + "\n", encoding="utf-8")
    print(f"wrote {path}")


def train(workspace: Workspace, file: Path, seeds: int, jobs: int) -> Trained:
    """Every arm of the file in every way; what is stored is not trained again."""
    values: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    seconds: dict[str, float] = {}
    for way in WAYS:
        factor = _factor(workspace, file, jobs) if way == "rowwise_adagrad" else 1.0
        varied = _varied(file, workspace, way, factor, list(range(seeds)))
        cells = list(read_matrix(varied, workspace).cells())
        records = _trained(workspace, cells, f"{file.stem}, {way}, factor {factor:g}", jobs)
        values[way] = {}
        for cell in cells:
            name = f"{cell.version_label} / {cell.mode}"
            arm = values[way].setdefault(name, {metric: np.empty(seeds) for metric in METRICS})
            for metric in METRICS:
                arm[metric][cell.seed] = getattr(records[cell.hash].metrics["test"], metric)
        seconds[way] = float(np.mean([record.seconds["train"] for record in records.values()]))
    return Trained(values, seconds)


def _trained(
    workspace: Workspace, cells: list[Cell], what: str, jobs: int
) -> dict[str, CellRecord]:
    """The records of all cells, by hash."""
    missing, observer = missing_cells(workspace, cells), Silent()
    observer.begin(what, len(cells), len(missing))
    run_cells(workspace, missing, (), jobs, observer)
    return stored_records(workspace, cells)


def _factor(workspace: Workspace, file: Path, jobs: int) -> float:
    """Adagrad's learning rate, relative to Adam's, with which the baseline is best on valid."""
    found = {}
    for factor in FACTORS:
        varied = _varied(file, workspace, "rowwise_adagrad", factor, [CHOOSING])
        cell = read_matrix(varied, workspace).cell(None, None, CHOOSING)
        (record,) = _trained(workspace, [cell], f"factor {factor:g}", jobs).values()
        auc = record.metrics["valid"].auc
        found[factor] = -1.0 if auc is None else auc
    return max(found, key=found.__getitem__)


def report(name: str, seeds: int, trained: Trained) -> list[str]:
    """A row for each arm and metric, a column for each way."""
    ways = trained.values
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
    told = " | ".join(f"{trained.seconds[way]:.1f}" for way in ways)
    return [*lines, f"| seconds of training a cell | {told} |"]


def _row(name: str, values: dict[str, np.ndarray]) -> str:
    told = []
    for way, found in values.items():
        text = f"{100 * found.mean():.3f}"
        if way != "adam":
            apart = 100 * (found - values["adam"])
            reach = student.ppf(0.975, len(apart) - 1) * apart.std(ddof=1) / np.sqrt(len(apart))
            text += f" ({apart.mean():+.3f} ± {reach:.3f})"
        told.append(text)
    return f"| {name} | {' | '.join(told)} |"


def _varied(file: Path, workspace: Workspace, way: str, factor: float, seeds: list[int]) -> Path:
    """The file with another optimiser of the tables and other seeds, in the workspace."""
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
