"""Measures coverage and false alarm rate of 95 % intervals on simulated logs and models.

`python -m benchmarks.calibration.simulate` judges, for every design below, 10,000 comparisons of
two identically distributed arms (false alarms) and 10,000 of two arms with a known difference
(coverage). It writes results/tables/calibration.md and .json. README.md describes the simulation.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.calibration.logs import Design, MeasuredArm, draw_arm, draw_log, measure
from benchmarks.calibration.tables import DesignResult, share, stored, write
from benchmarks.shared import TABLES
from ctrbench.seeding import stream
from ctrbench.stats import Contrast, infer

METRICS = ("gauc", "auc")
BETTER = 0.5  # quality of the better arm; all others have 0

QUIET = {"seed_sd": 0.1, "mixed_sd": 0.2, "arm_sd": 0.7}  # items dominate the variance

DESIGNS = (
    *(Design(f"plain, {seeds} seeds", seeds=seeds, family=True) for seeds in (3, 5, 10)),
    *(
        Design(f"strong seed noise, {seeds} seeds", seeds=seeds, seed_sd=1, family=seeds < 10)
        for seeds in (3, 5, 10)
    ),
    *(
        Design(f"no seed noise, {seeds} seeds", seeds=seeds, seed_sd=0, mixed_sd=0)
        for seeds in (3, 5, 10)
    ),
    *(
        Design(f"seeds differ by user, {seeds} seeds", seeds=seeds, mixed_sd=2.5)
        for seeds in (3, 5, 10)
    ),
    *(
        Design(f"seeds differ in nothing else, {seeds} seeds", seeds=seeds, arm_sd=0, seed_sd=0)
        for seeds in (3, 5, 10)
    ),
    *(
        Design(f"one mode is noisier, {seeds} seeds", seeds=seeds, noisy_mode=3, family=True)
        for seeds in (3, 5)
    ),
    Design("two seeds", seeds=2),
    Design("looked at with 3, 6 and 12 seeds", seeds=12, looks=(3, 6, 12), family=True),
    Design("200 users, 20 impressions each", users=200, rows=20),
    Design("30 users, 100 impressions each", users=30, rows=100),
    Design("1,000 users, 4 impressions each", users=1_000, rows=4),
    Design("users of uneven weight", uneven=1),
    Design("users of very uneven weight", uneven=2),
    Design("60 users, a few hold most", users=60, pareto=0.8),
    Design("five users have all clicks", users=200, clicking=5),
    Design("two users have all clicks", users=200, clicking=2),
    Design("heavy ties", values=5),
    Design("click rate 0.5 %, 8,000 impressions", users=200, rows=40, ctr=0.005, family=True),
    Design("click rate 0.5 %, 2,000 impressions", ctr=0.005),
    Design("sample weights", weighted=True),
    *(
        Design(f"no item effects, {items:,} items", items=items, users=200, **QUIET)
        for items in (30, 300, 3_000, 30_000)
    ),
    *(
        Design(f"item effects redrawn, {items:,} items", items=items, item_sd=2, users=200, **QUIET)
        for items in (30, 300, 3_000, 30_000)
    ),
    *(
        Design(
            f"item effects redrawn, {items:,} items, ignored",
            items=items,
            item_sd=2,
            users=200,
            ignored=True,
            **QUIET,
        )
        for items in (300, 3_000)
    ),
    Design("item effects redrawn, family", item_sd=2, users=200, family=True, **QUIET),
    Design("item effects redrawn, 300 items, 3 seeds", item_sd=2, seeds=3, seed_sd=0.3),
    Design("item qualities redrawn", quality_sd=1.5, users=200, **QUIET),
    Design("item qualities fixed", quality_sd=1.5, fixed=True, users=200, **QUIET),
    Design(
        "item qualities fixed, effects redrawn",
        quality_sd=1.5,
        fixed=True,
        item_sd=2,
        users=200,
        **QUIET,
    ),
    Design("a tenth of the items carries the effect", item_sd=3, carried_by=0.1, **QUIET),
)


def main() -> None:
    """Simulate every design and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--output", type=Path, default=TABLES)
    parser.add_argument(
        "--only", nargs="+", default=[""], help="only designs whose name contains one of the texts"
    )
    given = parser.parse_args()
    chosen = [one for one in DESIGNS if any(text in one.name for text in given.only)]
    order = sorted(chosen, key=lambda design: -design.family)  # slow designs first
    with ProcessPoolExecutor(given.jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        found = dict(zip(order, pool.map(simulate, order, repeat(given.replicates)), strict=True))
    kept = {} if len(chosen) == len(DESIGNS) else stored("simulated", given.output)
    fresh = {design.name: found[design] for design in chosen}
    rows = [row for design in DESIGNS for row in (kept | fresh).get(design.name, [])]
    write("simulated", rows, given.output)


def simulate(design: Design, replicates: int) -> list[DesignResult]:
    """Return one row per metric over all replicates of a design.

    Args:
        design: The design.
        replicates: The number of replicates.
    """
    rng = stream(0, "calibration", design.name)
    drawn = [_replicate(design, rng) for _ in range(replicates)]
    return [_counted(design.name, metric, drawn) for metric in METRICS]


@dataclass(frozen=True)
class Replicate:
    """The result of one replicate for one metric."""

    alarm: bool  # the interval of one null comparison excludes zero
    family: bool | None  # any simultaneous interval excludes zero; None for a single comparison
    known: tuple[float, float, float]  # estimate, low, high of arms with a known difference


def _replicate(design: Design, rng: np.random.Generator) -> dict[str, Replicate]:
    """Return the result by metric; a metric that is undefined on the log is omitted."""
    log = draw_log(design, rng)

    def arm(quality: float = 0.0, noise: float = 1.0) -> dict[str, MeasuredArm]:
        return measure(log, draw_arm(design, log, rng, quality, noise))

    baseline, better = arm(), arm(BETTER)
    noise = [design.noisy_mode, 1.0, design.noisy_mode, 1.0]  # two modes with two versions each
    arms = [arm(noise=of_mode) for of_mode in (noise if design.family else noise[:1])]
    siblings = [arm(noise=of_mode) for of_mode in (noise[:2] if design.family else [])]
    judged = {}
    for metric in baseline:
        equal = [_contrast(metric, baseline, "baseline", arms, i) for i in range(len(arms))]
        equal += [
            _contrast(metric, sibling, f"sibling {i}", arms, i)
            for i, sibling in enumerate(siblings)
        ]
        known = infer([_contrast(metric, baseline, "baseline", [better], 0)])[0]
        controls = [
            _contrast(metric, baseline, "baseline", siblings, i) for i in range(len(siblings))
        ]  # outside the family, as in a table
        judged[metric] = Replicate(
            alarm=_alarm(equal[:1], design.looks, [*equal[1:], *controls]),
            family=_alarm(equal, design.looks, controls) if design.family else None,
            known=(known.estimate, known.low, known.high),
        )
    return judged


def _contrast(
    metric: str,
    reference: dict[str, MeasuredArm],
    name: str,
    arms: list[dict[str, MeasuredArm]],
    i: int,
) -> Contrast:
    """Return arm i minus the reference; arms 0 and 2 are of one mode, 1 and 3 of another."""
    ours, theirs = arms[i][metric], reference[metric]
    delta = ours.value - theirs.value
    moved = ours.per_user - theirs.per_user
    kind = f"mode {i % 2} against {name.split()[0]}"
    seeds = tuple(range(len(delta)))
    return Contrast(
        seeds,
        delta,
        moved,
        f"arm {i}",
        name,
        kind,
        ours.effective_users,
        None if ours.ignored else ours.items - theirs.items,
        None if ours.ignored else ours.pairs - theirs.pairs,
        ours.effective_items,
        name.split()[0],
    )


def _alarm(contrasts: list[Contrast], looks: tuple[int, ...], controls: list[Contrast]) -> bool:
    """Return whether any interval excludes zero, at any analysis."""
    last = len(contrasts[0].seeds)
    return any(
        not found.low <= 0 <= found.high
        for seeds in looks or (last,)
        for found in infer(
            [_cut(one, seeds) for one in contrasts],
            len(looks) or 1,
            [_cut(one, seeds) for one in controls],
        )
    )


def _cut(contrast: Contrast, seeds: int) -> Contrast:
    return replace(
        contrast,
        seeds=contrast.seeds[:seeds],
        delta=contrast.delta[:seeds],
        influence=contrast.influence[:seeds],
        items=None if contrast.items is None else contrast.items[:seeds],
        pairs=None if contrast.pairs is None else contrast.pairs[:seeds],
    )


def _counted(design: str, metric: str, drawn: list[dict[str, Replicate]]) -> DesignResult:
    """Return the row of a metric.

    The true difference is the mean estimate. Its standard error is 1 / sqrt(replicates) of that of
    one estimate.
    """
    found = [judged[metric] for judged in drawn if metric in judged]
    families = [one.family for one in found if one.family is not None]
    estimate, low, high = np.array([one.known for one in found]).T
    held = (low <= estimate.mean()) & (estimate.mean() <= high)
    return DesignResult(
        design,
        metric,
        share([one.alarm for one in found]),
        share(families) if families else None,
        share(held),
    )


if __name__ == "__main__":
    main()
