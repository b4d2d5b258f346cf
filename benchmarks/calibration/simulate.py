"""Do 95 % intervals hold the truth 95 times in a hundred? Over logs and models drawn anew.

`python benchmarks/calibration/simulate.py` judges, for every design below, 10,000 comparisons of
two models that differ by nothing (false alarms) and 10,000 of two that differ by a known amount
(coverage), and writes results/tables/calibration.md. README.md says what is drawn.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from logs import Log, draw_log, draw_predictions, measured

from ctrbench.seeding import stream
from ctrbench.stats import Contrast, infer

METRICS = ("gauc", "auc")


@dataclass(frozen=True)
class Design:
    """What is hard about a log or its models."""

    name: str
    users: int = 100
    rows: int = 20  # impressions of each user
    seeds: int = 5
    ctr: float = 0.25
    values: int = 0  # distinct predictions; 0: no ties
    seed_sd: float = 0.3  # of the quality of a trained model, from seed to seed
    mixed_sd: float = 0.5  # of what a model gets wrong about one user, from seed to seed
    weighted: bool = False
    arms: int = 1  # that share a baseline and are judged together


DESIGNS = (
    *(Design(f"plain, {seeds} seeds", seeds=seeds) for seeds in (3, 5, 10)),
    Design("few users, many impressions", users=25, rows=80),
    Design("many users, few impressions", users=500, rows=4),
    Design("heavy ties", values=4),
    Design("click rate 0.5 %", users=200, rows=40, ctr=0.005),
    *(
        Design(f"strong seed noise, {seeds} seeds", seeds=seeds, seed_sd=1.5)
        for seeds in (3, 5, 10)
    ),
    *(
        Design(f"no seed noise, {seeds} seeds", seeds=seeds, seed_sd=0, mixed_sd=0)
        for seeds in (3, 5)
    ),
    *(Design(f"seeds differ by user, {seeds} seeds", seeds=seeds, mixed_sd=2) for seeds in (3, 5)),
    Design("sample weights", weighted=True),
    Design("six arms, one baseline, 3 seeds", seeds=3, arms=6),
    Design("six arms, one baseline, 5 seeds", arms=6),
)


@dataclass(frozen=True)
class Counted:
    """Of the replicates of one design and metric."""

    replicates: int
    false_alarms: (
        float  # share of replicates in which any interval of two equal models leaves 0 out
    )
    coverage: float  # share in which the interval of two unequal models holds their true difference


def main() -> None:
    """Simulate every design and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("results/tables/calibration.md"))
    given = parser.parse_args()
    with ProcessPoolExecutor(given.jobs) as pool:
        found = list(pool.map(simulate, DESIGNS, [given.replicates] * len(DESIGNS)))
    lines = [
        "| design | metric | false alarms, % (nominal 5) | coverage, % (nominal 95) |",
        "| --- | --- | ---: | ---: |",
        *(
            f"| {design.name} | {metric} | {_percent(counted.false_alarms, counted.replicates)} | "
            f"{_percent(counted.coverage, counted.replicates)} |"
            for design, counts in zip(DESIGNS, found, strict=True)
            for metric, counted in counts.items()
        ),
    ]
    told = (
        f"{given.replicates:,} comparisons of each kind per design, ± standard error. Made by "
        "`python benchmarks/calibration/simulate.py`; do not edit.\n"
    )
    given.output.write_text("\n".join([told, *lines]) + "\n", encoding="utf-8")
    print(f"wrote {given.output}")


def simulate(design: Design, replicates: int) -> dict[str, Counted]:
    """All replicates of a design."""
    alarms = dict.fromkeys(METRICS, 0)
    kept: dict[str, list[tuple[float, float, float]]] = {metric: [] for metric in METRICS}
    used = dict.fromkeys(METRICS, 0)
    for replicate in range(replicates):
        rng = stream(replicate, "calibration", design.name)
        log = draw_log(design, rng)
        baseline, equal, better = _arms(design, log, rng)
        for metric in METRICS:
            if metric not in baseline[0]:
                continue  # a log without a click: nothing to compare
            used[metric] += 1
            family = [_contrast(arm, baseline, metric) for arm in equal]
            alarms[metric] += any(not one.low <= 0 <= one.high for one in infer(family))
            found = infer([_contrast(better, baseline, metric)])[0]
            kept[metric].append((found.estimate, found.low, found.high))
    return {
        metric: Counted(used[metric], alarms[metric] / used[metric], _coverage(kept[metric]))
        for metric in METRICS
    }


def _arms(design: Design, log: Log, rng: np.random.Generator) -> tuple[list, list[list], list]:
    """Influence values per seed of the baseline, of its equals, and of a better model."""
    baseline, *equal = (
        [measured(log, draw_predictions(design, log, 0.0, rng)) for _ in range(design.seeds)]
        for _ in range(1 + design.arms)
    )
    better = [measured(log, draw_predictions(design, log, 0.5, rng)) for _ in range(design.seeds)]
    return baseline, equal, better


def _contrast(arm: list, baseline: list, metric: str) -> Contrast:
    pairs = [(one[metric], other[metric]) for one, other in zip(arm, baseline, strict=True)]
    return Contrast(
        tuple(range(len(pairs))),
        np.array([one.value - other.value for one, other in pairs]),
        np.stack([one.per_user - other.per_user for one, other in pairs]),
    )


def _coverage(kept: list[tuple[float, float, float]]) -> float:
    """The truth is the mean estimate: its own error is a hundredth of a single one's."""
    estimate, low, high = np.array(kept).T
    truth = estimate.mean()
    return float(np.mean((low <= truth) & (truth <= high)))


def _percent(share: float, count: int) -> str:
    return f"{100 * share:.1f} ± {100 * np.sqrt(share * (1 - share) / count):.1f}"


if __name__ == "__main__":
    main()
