"""Do intervals leave zero out too often between seeds that were truly trained alike?

`python benchmarks/calibration/trained.py --home DIR` makes a world `taste` below DIR, trains the
baseline with 40 seeds, and judges 10,000 comparisons of one half of a draw of seeds with the other,
on users drawn with replacement. Item variance is left out, because a user drawn twice would share
all pairs of user and item with its copy. It adds its rows to results/tables/calibration.md and
.json. A cell that is stored below DIR is not trained again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tables import Row, share, write

from ctrbench import impressions
from ctrbench.matrix import read_matrix
from ctrbench.runner.run import missing_cells, run_cells
from ctrbench.schema import Cell, CellRecord
from ctrbench.seeding import stream
from ctrbench.stats import Contrast, Influence, infer, influences
from ctrbench.store import Store
from ctrbench.workspace import Workspace

TRAINED = 40
SEEDS = (3, 5, 10)  # of each arm
METRICS = ("gauc", "auc", "log_loss")
WORLD = ("--world", "taste", "--users", "700", "--impressions", "40000", "--pictures", "0")
BENCHMARK = f"""\
dataset: taste
versions: [oracle]  # asked for by the format; only the baseline is trained
modes: {{vector: {{}}}}
seeds: {list(range(TRAINED))}
training: {{batch_size: 256, learning_rate: 1e-3}}
"""


@dataclass(frozen=True)
class Test:
    """The test impressions, and what every seed predicts of them."""

    click: np.ndarray  # (N,)
    user: np.ndarray  # (N,) from 0; rows of a user stand together
    start: np.ndarray  # (U + 1,) first row of each user
    p_click: np.ndarray  # (seeds, N)


class Silent:
    """Says which seed is done, and nothing else."""

    def begin(self, what: str, cells: int, missing: int) -> None:
        """Nothing to say."""

    def progress(self, cell: Cell, share: float) -> None:
        """Nothing to say."""

    def finished(self, record: CellRecord) -> None:
        """One line."""
        print(f"seed {record.cell.seed}: {record.status}", flush=True)


def main() -> None:
    """Make, train, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder for the world")
    parser.add_argument("--replicates", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    test = trained(given.home, given.jobs)
    parts = np.array_split(np.arange(given.replicates), given.jobs)
    with ProcessPoolExecutor(given.jobs) as pool:
        drawn = [
            found for part in pool.map(replicates, [test] * given.jobs, parts) for found in part
        ]
    write("trained", rows(drawn))


def trained(home: Path, jobs: int) -> Test:
    """The predictions of all seeds, trained where they are not stored."""
    workspace, file = Workspace(home), home / "calibration.yaml"
    if not (home / "data" / "taste").exists():
        make = [sys.executable, "-m", "data_synth", "--out", str(home), *WORLD]
        subprocess.run(make, check=True)
    file.write_text(BENCHMARK, encoding="utf-8")
    matrix = read_matrix(file, workspace)
    cells = [matrix.cell(None, None, seed) for seed in matrix.file.seeds]
    run_cells(workspace, missing_cells(workspace, cells, True), (), jobs, Silent(), True)
    log = impressions.open_impressions(workspace, matrix.dataset.name)
    rows = log.rows("test")
    order = np.argsort(log.user_id[rows], kind="stable")
    _, start, user = np.unique(log.user_id[rows][order], return_index=True, return_inverse=True)
    predictions = [Store(workspace).predictions(cell, "test") for cell in cells]
    p_click = [p[order] for p in predictions if p is not None]
    if len(p_click) < len(cells):
        sys.exit(f"{len(cells) - len(p_click)} cells have no predictions; see their records.")
    return Test(log.click[rows][order], user, np.append(start, len(user)), np.stack(p_click))


def replicates(test: Test, numbers: np.ndarray) -> list[dict[tuple[int, str], bool]]:
    """By seeds of an arm and metric, whether the interval leaves 0 out; one dict a replicate."""
    return [_replicate(test, stream(int(number), "calibration", "trained")) for number in numbers]


def _replicate(test: Test, rng: np.random.Generator) -> dict[tuple[int, str], bool]:
    users = len(test.start) - 1
    drawn = rng.integers(users, size=users)
    rows = np.concatenate([np.arange(test.start[u], test.start[u + 1]) for u in drawn])
    user = np.repeat(np.arange(users), np.diff(test.start)[drawn])  # drawn twice: two users
    arms = rng.permutation(len(test.p_click))[: 2 * max(SEEDS)].reshape(2, -1)
    ours, theirs = (
        [influences(test.click[rows], test.p_click[seed][rows], user) for seed in arm]
        for arm in arms
    )
    return {
        (seeds, metric): _alarm(
            [found[metric] for found in ours[:seeds]], [found[metric] for found in theirs[:seeds]]
        )
        for seeds in SEEDS
        for metric in METRICS
    }


def _alarm(ours: list[Influence], theirs: list[Influence]) -> bool:
    pairs = list(zip(ours, theirs, strict=True))
    delta = np.array([one.value - other.value for one, other in pairs])
    moved = np.stack([one.per_user - other.per_user for one, other in pairs])
    contrast = Contrast(tuple(range(len(pairs))), delta, moved, worth=ours[0].worth)
    (found,) = infer([contrast])
    return not found.low <= 0 <= found.high


def rows(drawn: list[dict[tuple[int, str], bool]]) -> list[Row]:
    """A row for each number of seeds and metric."""
    return [
        Row(
            f"{seeds} against {seeds} of {TRAINED} baselines",
            metric,
            share([one[seeds, metric] for one in drawn]),
            None,
            None,
        )
        for seeds in SEEDS
        for metric in METRICS
    ]


if __name__ == "__main__":
    main()
