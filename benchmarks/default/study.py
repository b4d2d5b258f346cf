"""Run the default matrix on 20 fresh worlds of each kind and count its verdicts.

`python -m benchmarks.default.study HOME` makes worlds of exactly the default sizes with seeds 1000
to 1019, runs taste.yaml and null.yaml on them, and writes results/tables/default.md. It reuses
cells that are stored below HOME.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

from benchmarks.default import FILES, IMPRESSIONS, STRENGTH, world
from benchmarks.shared import ctrbench, data_synth, markdown_row, write_table

WORLD_SEEDS = range(1000, 1020)  # not used for any choice
MODES = ("vector", "sim_score", "cluster_id")
Rows = list[dict]


def main() -> None:
    """Make the worlds, train the matrices, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path, help="folder for the worlds")
    home = parser.parse_args().home
    found = {seed: (_rows(home, "taste", seed), _rows(home, "null", seed)) for seed in WORLD_SEEDS}
    write_table("default.md", "\n".join(_table(found)))


def _rows(root: Path, kind: str, seed: int) -> Rows:
    """Return the rows of one world's comparison table: GAUC on the whole test period."""
    home = root / f"{kind}-{seed}"
    subprocess.run(data_synth(home, **world(kind, seed)), check=True, stdout=subprocess.DEVNULL)
    command = ctrbench(home, "run", FILES[kind], "--no-report")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    text = subprocess.check_output(
        ctrbench(home, "tables", FILES[kind], "--format", "json"), text=True
    )
    rows = json.loads(text)["rows"]
    return [row for row in rows if row["metric"] == "gauc" and not row["slice"]]


def _pick(rows: Rows, row: str, mode: str, comparison: str) -> dict:
    """Return one place of the table."""
    (found,) = (
        one
        for one in rows
        if (one["row"], one["comparison"]) == (row, comparison) and one["column"] == mode
    )
    return found


def _better(rows: Rows, row: str, mode: str, comparison: str = "baseline") -> bool:
    """Return whether the interval of a difference lies above zero."""
    return _pick(rows, row, mode, comparison)["low_pp"] > 0


def _both(rows: Rows, mode: str) -> bool:
    """Return whether oracle vectors are better by both deltas."""
    return _better(rows, "oracle", mode) and _better(rows, "oracle", mode, "shuffled")


def _table(found: dict[int, tuple[Rows, Rows]]) -> Iterator[str]:
    worlds = len(found)
    two = sum(sum(_both(taste, mode) for mode in MODES) >= 2 for taste, _ in found.values())
    yield (
        f"Verdicts of the default run in {worlds} fresh worlds of each kind (seeds "
        f"{WORLD_SEEDS[0]} to {WORLD_SEEDS[-1]}): {IMPRESSIONS:,} impressions, strength "
        f"{STRENGTH:g} in `taste`, 3 training seeds, GAUC. Oracle vectors are better by both "
        f"deltas in at least two of three modes in {two} of {worlds} worlds. Made by "
        "`python -m benchmarks.default.study`; do not edit.\n"
    )
    yield markdown_row(
        [
            "mode",
            "oracle: mean gain, pp",
            "over shuffled, pp",
            "better by both",
            "random better",
            "shuffled better",
            "`null`: better by both",
            "`null`: better than the baseline",
            "`null`: worse than the baseline",
        ]
    )
    yield markdown_row(["---", *["---:"] * 8])
    for mode in MODES:
        taste, null = zip(*found.values(), strict=True)
        gains = [_pick(rows, "oracle", mode, "baseline")["delta_pp"] for rows in taste]
        images = [_pick(rows, "oracle", mode, "shuffled")["delta_pp"] for rows in taste]
        worse = sum(_pick(rows, "oracle", mode, "baseline")["high_pp"] < 0 for rows in null)
        counts = [
            sum(_both(rows, mode) for rows in taste),
            sum(_better(rows, "random", mode) for rows in taste),
            sum(_better(rows, "oracle@shuffled", mode) for rows in taste),
            sum(_both(rows, mode) for rows in null),
            sum(_better(rows, "oracle", mode) for rows in null),
            worse,
        ]
        yield markdown_row(
            [mode, f"{fmean(gains):+.2f}", f"{fmean(images):+.2f}"]
            + [f"{count} of {worlds}" for count in counts]
        )
    yield (
        "\nOracle and random vectors: 95 % simultaneous intervals over the comparisons of a world. "
        "Shuffled vectors: pointwise intervals, of which 2.5 % lie above zero by chance."
    )


if __name__ == "__main__":
    main()
