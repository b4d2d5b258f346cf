"""Measures how much each method reduces the seed variance of a delta.

`python -m benchmarks.noise.study HOME FILE VERSION SEEDS [HOME FILE VERSION SEEDS ...]` trains the
baseline and every mode of each benchmark file with many seeds and writes results/tables/noise.md.
README.md lists the methods.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.noise.train import AVERAGED, LAST, Trained, train
from benchmarks.shared import add_studies, markdown_row, mean_and_error, studies, write_table
from ctrbench.metrics import auc, gauc
from ctrbench.seeding import stream
from ctrbench.stats import Contrast, influences
from ctrbench.stats.contrast import interaction_variance, user_variance
from ctrbench.workspace import Workspace

METRICS = ("gauc", "auc")
ENSEMBLE = 5  # seeds whose predictions are averaged
SPLITS = 40  # random pairs of disjoint ensembles
MORE_BASELINES = 3  # seeds of the baseline per seed of the arm
WORDS = ("HOME", "FILE", "VERSION", "SEEDS")
CAPTION = (
    "Seed variance of a delta, as a multiple of that of the default delta: one seed per arm, "
    "draws and data order shared with the baseline, last weights. In brackets: change of the mean "
    "delta, pp. Equivalent seeds: the number of default seeds with the same variance. Made by "
    "`benchmarks/noise/study.py`; do not edit."
)

Values = dict[str, np.ndarray]  # arm -> (S,) metric by seed


@dataclass(frozen=True)
class Method:
    """One method that reduces the seed variance of one arm's delta."""

    name: str
    variance: float  # seed variance of the delta, as a multiple of that of the default delta
    shift: str = ""  # change of the mean delta, pp; empty if zero by construction


def main() -> None:
    """Train the arms, measure the variances, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_studies(parser, *WORDS)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    lines = [CAPTION]
    for home, file, version, seeds in studies(parser, given.studies, *WORDS):
        trained = train(Workspace(Path(home)), Path(file), version, int(seeds), given.jobs)
        lines += ["", *report(f"{Path(file).stem}, {version}", trained)]
    write_table("noise.md", "\n".join(lines))


def report(name: str, trained: Trained) -> list[str]:
    """Return a table with one row per method and one column per mode and metric.

    Args:
        name: The title.
        trained: The predictions of all seeds.
    """
    found = {metric: _methods(trained, metric) for metric in METRICS}
    arms = [arm for arm in trained.p_click if arm != "baseline"]
    places = [(metric, arm) for metric in METRICS for arm in arms]
    seeds = len(trained.p_click["baseline"][LAST])
    lines = [
        f"**{name}**, {seeds} seeds, {len(trained.click):,} test impressions",
        "",
        "| | "
        + " | ".join(f"{metric.upper()} {arm}" for metric, arm in places)
        + " | mean | equivalent seeds |",
        "|---|" + "---:|" * (len(places) + 2),
    ]
    for row in range(len(found["gauc"][arms[0]])):
        methods = [found[metric][arm][row] for metric, arm in places]
        mean = float(np.exp(np.mean(np.log([max(method.variance, 1e-6) for method in methods]))))
        places = [*map(_shown, methods), f"{mean:.2f}", f"{1 / mean:.1f}"]
        lines.append(markdown_row([methods[0].name, *places]))
    for metric in METRICS:
        lines += ["", _split(trained, metric, arms), "", _levels(trained, metric)]
    return lines


def _methods(trained: Trained, metric: str) -> dict[str, list[Method]]:
    measure = _measure(trained, metric)
    arms = [arm for arm in trained.p_click if arm != "baseline"]
    values: dict[float, Values] = {
        share: {arm: _by_seed(measure, of[share]) for arm, of in trained.p_click.items()}
        for share in (LAST, *AVERAGED)
    }
    found = {}
    for arm in arms:
        one, base = values[LAST][arm], values[LAST]["baseline"]
        default, delta = np.var(one - base, ddof=1), one - base
        methods = [
            Method("default", 1.0),
            Method(
                "draws and data order not shared",
                (np.var(one, ddof=1) + np.var(base, ddof=1)) / default,
            ),
        ]
        for share in AVERAGED:
            averaged = values[share][arm] - values[share]["baseline"]
            name = f"weights averaged over the last {100 * share:g} % of the epoch"
            methods.append(
                Method(name, np.var(averaged, ddof=1) / default, _shift(averaged - delta))
            )
        variance, moved = _ensembles(trained, measure, arm, delta)
        name = f"predictions of {ENSEMBLE} seeds averaged"
        methods.append(Method(name, variance / default, f"{moved:+.2f}"))
        methods.append(Method(f"the mean of {ENSEMBLE} seeds", 1 / ENSEMBLE))
        control = _control_variate(one, base) / default
        name = f"baseline as control variate, {MORE_BASELINES} x as many of its seeds"
        methods.append(Method(name, control))
        found[arm] = methods
    return found


def _ensembles(
    trained: Trained, measure: Callable[[np.ndarray], float], arm: str, delta: np.ndarray
) -> tuple[float, float]:
    """Return the variance of an ensemble's delta, from disjoint pairs, and its shift in pp."""
    ours, theirs = (trained.p_click[name][LAST] for name in (arm, "baseline"))
    squares, means = [], []
    for split in range(SPLITS):
        order = stream(split, "noise", "ensembles").permutation(len(ours))[: 2 * ENSEMBLE]
        one, other = (
            measure(ours[part].mean(axis=0)) - measure(theirs[part].mean(axis=0))
            for part in (order[:ENSEMBLE], order[ENSEMBLE:])
        )
        squares.append((one - other) ** 2 / 2)
        means += [one, other]
    return float(np.mean(squares)), 100 * float(np.mean(means) - delta.mean())


def _control_variate(arm: np.ndarray, base: np.ndarray) -> float:
    """Return the minimum over b of the variance of arm - b * baseline - (1 - b) * mean.

    The mean is over other seeds of the baseline, MORE_BASELINES per seed of the arm.
    """
    (aa, ab), (_, bb) = np.cov(arm, base)
    slopes = np.linspace(0, 1, 101)
    return float(
        np.min(aa - 2 * slopes * ab + slopes**2 * bb + (1 - slopes) ** 2 * bb / MORE_BASELINES)
    )


def _shift(moved: np.ndarray) -> str:
    """Return the mean over seeds and its standard error, in pp."""
    return mean_and_error(100 * moved)


def _levels(trained: Trained, metric: str) -> str:
    """Return the effect of averaged weights on the baseline, as a sentence."""
    measure, of_baseline = _measure(trained, metric), trained.p_click["baseline"]
    last = _by_seed(measure, of_baseline[LAST])
    shifts = [
        f"{_shift(_by_seed(measure, of_baseline[share]) - last)} ({100 * share:g} %)"
        for share in AVERAGED
    ]
    return f"Averaged weights change the baseline's {metric.upper()}, pp, by {', '.join(shifts)}."


def _split(trained: Trained, metric: str, arms: list[str]) -> str:
    """Return the standard errors due to users and to seeds, as a sentence.

    No method reduces the part of the users.
    """
    parts = []
    for arm in arms:
        ours, theirs = (
            [
                influences(trained.click, p, trained.user_id, group_id=trained.group_id)[metric]
                for p in trained.p_click[name][LAST]
            ]
            for name in (arm, "baseline")
        )
        pairs = list(zip(ours, theirs, strict=True))
        delta = np.array([one.value - other.value for one, other in pairs])
        moved = np.stack([one.per_user - other.per_user for one, other in pairs])
        contrast = Contrast(tuple(range(len(pairs))), delta, moved)
        users = user_variance(contrast) - interaction_variance(contrast) / len(pairs)
        base = np.mean([one.per_user for one in theirs], axis=0)
        kept = 1 - np.corrcoef(contrast.mean_influence, base)[0, 1] ** 2
        parts.append(
            f"{arm} {100 * max(users, 0.0) ** 0.5:.2f} (users), {100 * delta.std(ddof=1):.2f} "
            f"(one seed); the baseline's influence values explain {100 * (1 - kept):.0f} % of the "
            "user variance"
        )
    return f"Standard errors of a {metric.upper()} delta, pp: {'; '.join(parts)}."


def _measure(trained: Trained, metric: str) -> Callable[[np.ndarray], float]:
    if metric == "auc":
        return lambda p: auc(trained.click, p)
    return lambda p: gauc(trained.click, p, trained.group_id)


def _by_seed(measure: Callable[[np.ndarray], float], predictions: np.ndarray) -> np.ndarray:
    return np.array([measure(p) for p in predictions])


def _shown(method: Method) -> str:
    return f"{method.variance:.2f}" + (f" [{method.shift}]" if method.shift else "")


if __name__ == "__main__":
    main()
