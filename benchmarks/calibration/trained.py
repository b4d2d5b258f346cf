"""Measures the false alarm rate between trained seeds of one baseline.

`python -m benchmarks.calibration.trained --home DIR` makes a world `taste` below DIR, trains the
baseline with 40 seeds, and judges 10,000 comparisons of disjoint random sets of seeds on users
drawn with replacement. Item variance is omitted, because a user drawn twice shares all pairs of
user and item with its copy. The script writes its rows of results/tables/calibration.md and .json
and reuses cells that are stored below DIR.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.calibration.tables import DesignResult, share, write
from benchmarks.shared import data_synth
from benchmarks.shared import trained as train
from ctrbench import impressions
from ctrbench.matrix import read_matrix
from ctrbench.seeding import stream
from ctrbench.stats import Contrast, Influence, infer, influences
from ctrbench.store import Store
from ctrbench.workspace import Workspace

TRAINED = 40
SEEDS = (3, 5, 10)  # of each arm
METRICS = ("gauc", "auc", "log_loss")
WORLD = {"world": "taste", "users": 700, "impressions": 40_000}
BENCHMARK = f"""\
dataset: taste
versions: [oracle]  # required by the format; only the baseline is trained
modes: {{vector: {{}}}}
seeds: {list(range(TRAINED))}
training: {{batch_size: 256, learning_rate: 1e-3}}
"""


@dataclass(frozen=True)
class Test:
    """The test impressions and the predictions of every seed."""

    click: np.ndarray  # (N,)
    user: np.ndarray  # (N,) from 0; a user has adjacent rows
    start: np.ndarray  # (U + 1,) first row of each user
    p_click: np.ndarray  # (seeds, N)


def main() -> None:
    """Make the world, train the seeds, and write the rows."""
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
    """Return the predictions of all seeds; stored cells are reused.

    Args:
        home: The workspace.
        jobs: The number of cells to train at once.
    """
    workspace, file = Workspace(home), home / "calibration.yaml"
    if not (home / "data" / "taste").exists():
        subprocess.run(data_synth(home, **WORLD), check=True)
    file.write_text(BENCHMARK, encoding="utf-8")
    matrix = read_matrix(file, workspace)
    cells = [matrix.cell(None, None, seed) for seed in matrix.file.seeds]
    train(workspace, cells, "baselines", jobs)
    log = impressions.open_impressions(workspace, matrix.dataset.name)
    rows = log.rows("test")
    order = np.argsort(log.user_id[rows], kind="stable")
    _, start, user = np.unique(log.user_id[rows][order], return_index=True, return_inverse=True)
    predictions = [Store(workspace).predictions(cell, "test") for cell in cells]
    p_click = [p[order] for p in predictions if p is not None]
    if len(p_click) < len(cells):
        sys.exit(f"{len(cells) - len(p_click)} cells have no predictions. See their records.")
    return Test(log.click[rows][order], user, np.append(start, len(user)), np.stack(p_click))


def replicates(test: Test, numbers: np.ndarray) -> list[dict[tuple[int, str], bool]]:
    """Return by seeds per arm and metric whether the interval excludes zero, for each replicate.

    Args:
        test: The test impressions and predictions.
        numbers: (R,) int, the replicates.
    """
    return [_replicate(test, stream(int(number), "calibration", "trained")) for number in numbers]


def _replicate(test: Test, rng: np.random.Generator) -> dict[tuple[int, str], bool]:
    users = len(test.start) - 1
    drawn = rng.integers(users, size=users)
    rows = np.concatenate([np.arange(test.start[u], test.start[u + 1]) for u in drawn])
    user = np.repeat(
        np.arange(users), np.diff(test.start)[drawn]
    )  # a user drawn twice becomes two users
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
    contrast = Contrast(
        tuple(range(len(pairs))), delta, moved, effective_users=ours[0].effective_users
    )
    (found,) = infer([contrast])
    return not found.low <= 0 <= found.high


def rows(drawn: list[dict[tuple[int, str], bool]]) -> list[DesignResult]:
    """Return one row per number of seeds and metric."""
    return [
        DesignResult(
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
