"""Compares what `ctrbench advise` predicts with published results that its fit does not contain.

`python -m benchmarks.regimes.checks --root DIR` makes the first worlds of `benchmarks/worlds.py`
and measures their traits; `--movielens HOME` does so for film posters in a workspace that
benchmarks/README.md describes. Both add rows to results/tables/advice_checks.csv. Without an
option, it only writes results/tables/advice_checks.md from the stored traits.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.regimes.traits import add_traits, read_traits
from benchmarks.shared import TABLES, markdown_row, write_table
from benchmarks.worlds import MODES, VERSIONS_OF, WORLD_SEEDS
from ctrbench import embeddings, impressions
from ctrbench.advising.advice import forecast
from ctrbench.advising.prediction import packaged_fit
from ctrbench.advising.traits import Traits, measure
from ctrbench.workspace import Workspace
from data_synth.world import WorldConfig
from data_synth.writing import write_world

CHECKS = TABLES / "advice_checks.csv"
WORLDS = 3  # of the ten of worlds.md
POSTERS = {"movielens": ("raw", "pca64"), "movielens-time": ("pca64",)}
SIZES = {"taste": 50, "null": 50, "movielens": 200, "movielens-time": 200}  # of `cluster_id`
Measured = dict[str, tuple[float, float]]  # mode -> delta and half-width of its interval, pp


def main() -> None:
    """Measure the traits that the options name, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="folder for the worlds")
    parser.add_argument("--movielens", type=Path, help="workspace with film posters")
    given = parser.parse_args()
    if given.root is not None:
        for kind, versions in VERSIONS_OF.items():
            for seed in WORLD_SEEDS[:WORLDS]:
                if all((kind, str(seed), one) in read_traits(CHECKS) for one in versions):
                    continue
                home = given.root / f"{kind}-{seed}"
                write_world(WorldConfig(kind, seed=seed), home)
                _measure(home, kind, str(seed), versions)
                shutil.rmtree(home)
    if given.movielens is not None:
        for dataset, versions in POSTERS.items():
            _measure(given.movielens, dataset, "", versions)
    write_table("advice_checks.md", "\n".join(lines()))


def _measure(home: Path, dataset: str, replicate: str, versions: tuple[str, ...]) -> None:
    log = impressions.open_impressions(Workspace(home), dataset)
    for version in versions:
        if (dataset, replicate, version) not in read_traits(CHECKS):
            table = embeddings.open_version(Workspace(home), dataset, version)
            add_traits((dataset, replicate, version), measure(log, table), CHECKS)
            print(dataset, replicate, version, flush=True)


def lines() -> list[str]:
    """Return the lines of the table."""
    found = [
        "Made by `benchmarks/regimes/checks.py`; do not edit. Predicted gain in GAUC over shuffled "
        "vectors [80 % interval] / measured delta, pp. None of these data sets is part of the fit. "
        "Measured: `movielens.json`, `movielens-time.json` (with the half-widths of their "
        "intervals) and `worlds.md` (means of ten worlds over random vectors, with the root of the "
        "sum of both variances over worlds).",
        "",
        markdown_row(["data set", "version", "logs", *MODES, "measured over", "predicted"]),
        f"|---|---|---:|{'---:|' * len(MODES)}---|---|",
    ]
    by_version: dict[tuple[str, str], list[Traits]] = {}
    for (dataset, _, version), traits in read_traits(CHECKS).items():
        by_version.setdefault((dataset, version), []).append(traits)
    for (dataset, version), traits in by_version.items():
        of_mode, over = measured(dataset, version)
        answers = {_answer(one) for one in traits}
        row = (_cell(dataset, mode, traits, of_mode.get(mode)) for mode in MODES)
        found.append(
            markdown_row([dataset, version, len(traits), *row, over, "; ".join(sorted(answers))])
        )
    return found


def _answer(traits: Traits) -> str:
    found = forecast("", "", 64, traits, packaged_fit())
    gains = [one.mode for one in found.modes if one.low_pp > 0]
    return f"a gain with {found.modes[0].mode}" if gains else "no certain gain"


def _cell(
    dataset: str, mode: str, traits: list[Traits], published: tuple[float, float] | None
) -> str:
    """Return the mean prediction with its mean interval, and what was measured."""
    fit, found = packaged_fit(), []
    place = fit.modes.index(mode)
    for one in traits:
        gains = fit.gains(one, SIZES[dataset])
        half = fit.half_widths(gains)[place, place]
        found.append((gains[place], gains[place] - half, gains[place] + half))
    gain, low, high = np.mean(found, axis=0)
    shown = "–" if published is None else f"{published[0]:+.2f} ± {published[1]:.2f}"
    return f"{gain:+.2f} [{low:+.2f}, {high:+.2f}] / {shown}"


def measured(dataset: str, version: str) -> tuple[Measured, str]:
    """Return the published deltas of a version, with half-widths or deviations, and over what.

    Args:
        dataset: A world of worlds.md, or a data set with a published table.
        version: The version.
    """
    if dataset in VERSIONS_OF:
        own = dict(_of_worlds(dataset, version))
        if "random" not in VERSIONS_OF[dataset]:
            return own, "the baseline"
        plain = dict(_of_worlds(dataset, "random"))
        over = {m: (own[m][0] - plain[m][0], math.hypot(own[m][1], plain[m][1])) for m in own}
        return over, "random vectors"
    rows = json.loads((TABLES / f"{dataset}.json").read_text(encoding="utf-8"))["rows"]
    for comparison, over in (("shuffled", "shuffled vectors"), ("baseline", "the baseline")):
        wanted = {"metric": "gauc", "slice": "", "comparison": comparison, "row": version}
        found = {
            mode: (row["delta_pp"], (row["high_pp"] - row["low_pp"]) / 2)
            for row in rows
            for mode in MODES
            if row["column"].startswith(mode) and all(row[key] == wanted[key] for key in wanted)
        }
        if found:
            return found, over
    return {}, ""


def _of_worlds(kind: str, version: str) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield mode, mean and standard deviation of a column of worlds.md."""
    text = (TABLES / "worlds.md").read_text(encoding="utf-8")
    table = text[text.index(f"**`{kind}`**") :]
    column = VERSIONS_OF[kind].index(version)
    for mode in MODES:
        row = re.search(rf"^\| {mode} \|(.*)$", table, re.MULTILINE)
        assert row is not None
        mean, deviation = row[1].split("|")[column].split("±")
        yield mode, (float(mean), float(deviation))


if __name__ == "__main__":
    main()
