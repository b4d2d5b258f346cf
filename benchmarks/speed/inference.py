"""Time of the inference for a matrix, from predictions to intervals.

`python -m benchmarks.speed.inference` simulates a log of 1 M test impressions of 50,000 users and
100,000 items, with predictions of a baseline and 50 cells with 5 seeds each. On two processes of
one thread it times all metrics and influence values (including sums by item), writing and reading
them, and the inference of every metric over the whole family. AUC and GAUC include item variance,
as in tables. The script adds a row to results/tables/speed_inference.md.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.shared import add_row
from benchmarks.speed.watching import load
from ctrbench.metrics import find, influences, judged, with_influence
from ctrbench.seeding import stream
from ctrbench.stats import Measured, infer, pair

HEAD = (
    "| impressions | users | items | cells | seeds | processes | influence values, s | "
    "inference, s | peak memory of a process, GB | load before |\n"
    "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
)


def main() -> None:
    """Simulate the log, time the inference, and add the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--impressions", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--cells", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    before = load()
    places = [(cell, seed) for cell in range(given.cells + 1) for seed in range(given.seeds)]
    with tempfile.TemporaryDirectory() as folder:
        sizes = (given.impressions, given.users, given.items, Path(folder))
        start = time.monotonic()
        with ProcessPoolExecutor(given.jobs, initializer=_log, initargs=sizes) as pool:
            values = dict(zip(places, pool.map(_influences, places), strict=True))
        measured = time.monotonic() - start
        start = time.monotonic()
        significant = _judge(values, Path(folder), given.cells, given.seeds)
        judged = time.monotonic() - start
    print(f"GAUC: {significant} of {given.cells} cells differ significantly; half are better.")
    peak = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    row = (
        f"| {given.impressions:,} | {given.users:,} | {given.items:,} | {given.cells} "
        f"| {given.seeds} | {given.jobs} | {measured:.0f} | {judged:.0f} "
        f"| {peak / 1e6:.2f} | {before} |"
    )
    add_row("speed_inference.md", HEAD, row)


def _log(impressions: int, users: int, items: int, folder: Path) -> None:
    """Simulate the log once per process; the measured time includes the simulation."""
    global _state
    threadpool_limits(1)
    rng = stream(0, "speed")
    user = np.sort(rng.integers(0, users, impressions))
    item = (items * rng.power(0.3, impressions)).astype(np.int64)  # a few items dominate
    logit = rng.standard_normal(impressions, np.float32) - 3
    click = rng.random(impressions, np.float32) < 1 / (1 + np.exp(-logit))
    _state = user, item, click, logit, folder


def _influences(place: tuple[int, int]) -> dict[str, float]:
    """Return metrics of one set of predictions and write their influence values to a file."""
    user, item, click, logit, folder = _state
    cell, seed = place
    noise = stream(seed, "speed", str(cell)).standard_normal(len(logit), np.float32)
    score = (1 + 0.02 * (cell % 2)) * logit + noise
    found = influences(click, 1 / (1 + np.exp(-score)), user, item_id=item)
    short = {name: one.per_user.astype(np.float32) for name, one in found.items()}
    for name in (metric.name for metric in judged()):
        items = found[name].items
        if items is not None:
            short[f"{name}/items"] = items.per_item.astype(np.float32)
            short[f"{name}/pairs"] = items.pairs.astype(np.float32)
    np.savez_compressed(folder / f"{cell}-{seed}.npz", **short)
    return {name: one.value for name, one in found.items()}


def _judge(
    values: dict[tuple[int, int], dict[str, float]], folder: Path, cells: int, seeds: int
) -> int:
    """Judge every metric and return the number of GAUC intervals that exclude zero."""
    significant = 0
    for metric in (one.name for one in with_influence()):
        arms = []
        for cell in range(cells + 1):
            moved, items, pairs = {}, {}, {}
            for seed in range(seeds):
                with np.load(folder / f"{cell}-{seed}.npz") as arrays:
                    moved[seed] = arrays[metric].astype(np.float64)
                    if find(metric).judged:
                        items[seed] = arrays[f"{metric}/items"].astype(np.float64)
                        pairs[seed] = arrays[f"{metric}/pairs"].astype(np.float64)
            of_cell = {seed: values[cell, seed][metric] for seed in range(seeds)}
            arms.append(Measured(f"cell {cell}", of_cell, moved, items=items, pairs=pairs))
        contrasts = [pair(arm, arms[0], f"mode {n % 3}") for n, arm in enumerate(arms[1:])]
        found = infer([contrast for contrast in contrasts if contrast is not None])
        if metric == "gauc":
            significant = sum(not one.low <= 0 <= one.high for one in found)
    return significant


if __name__ == "__main__":
    main()
