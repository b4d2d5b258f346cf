"""Measures the effect in ten worlds with a planted effect and in ten without one.

`python -m benchmarks.worlds --home DIR` makes worlds `taste` and `null` with seeds 10 to 19, trains
every mode with three seeds each (settings chosen on `valid` of world 0), and writes
results/tables/worlds.md. It reuses cells that are stored below DIR.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev

from benchmarks.shared import TABLES, ctrbench, data_synth, markdown_row, write_table

WORLD_SEEDS = range(10, 20)  # not used to choose any setting
MODES = ("vector", "sim_score", "cluster_id")
VERSIONS_OF = {"taste": ("oracle", "noisy_0.5", "random"), "null": ("oracle",)}
CONTROLS_OF = {"taste": "[]", "null": "[{kind: shuffled}]"}
BENCHMARK = """\
dataset: "{kind}"
versions: [{versions}]
modes:
  vector: {{learning_rate_factor: 0.3}}
  sim_score: {{learning_rate_factor: 3.0}}
  cluster_id: {{codebook_size: 50, learning_rate_factor: 1.0}}
seeds: [0, 1, 2]
controls: {controls}
training: {{batch_size: 512, learning_rate: 4e-3}}
"""


def main() -> None:
    """Make the worlds, train the matrices, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder for the worlds")
    parser.add_argument("--output", type=Path, default=TABLES / "worlds.md")
    given = parser.parse_args()
    found = {
        kind: [_table(given.home / f"{kind}-{seed}", kind, seed) for seed in WORLD_SEEDS]
        for kind in ("taste", "null")
    }
    write_table(given.output.name, "\n".join(_report(found)), given.output.parent)


def _table(home: Path, kind: str, seed: int) -> list[dict]:
    """Return the rows of one world's comparison table."""
    subprocess.run(data_synth(home, world=kind, seed=seed), check=True)
    file, versions = home / f"{kind}.yaml", ", ".join(VERSIONS_OF[kind])
    text = BENCHMARK.format(kind=kind, versions=versions, controls=CONTROLS_OF[kind])
    file.write_text(text, encoding="utf-8")
    subprocess.run(
        ctrbench(home, "run", file, "--no-report"), check=True, stdout=subprocess.DEVNULL
    )
    text = subprocess.check_output(ctrbench(home, "tables", file, "--format", "json"), text=True)
    return json.loads(text)["rows"]


def _pick(rows: list[dict], version: str, mode: str, comparison: str = "baseline") -> dict:
    """Return the row of the headline: GAUC on the whole test period."""
    wanted = {"metric": "gauc", "slice": "", "comparison": comparison, "row": version}
    return next(
        row
        for row in rows
        if row["column"].startswith(mode)
        and all(row[key] == value for key, value in wanted.items())
    )


def _report(found: dict[str, list[list[dict]]]) -> Iterator[str]:
    worlds = len(WORLD_SEEDS)
    yield (
        f"GAUC deltas in percentage points, {worlds} worlds each (seeds {WORLD_SEEDS[0]} to "
        f"{WORLD_SEEDS[-1]}), every delta the mean of three training seeds. Made by "
        "`benchmarks/worlds.py`; do not edit."
    )
    yield "\n**`taste`**: mean ± standard deviation over worlds, and how often the order came out\n"
    versions = VERSIONS_OF["taste"]
    head = [*versions, "oracle > noisy > random", "oracle > random", "share of attainable, oracle"]
    yield markdown_row(["", *head])
    yield markdown_row(["---", *["---:"] * len(head)])
    for mode in MODES:
        deltas = [
            [_pick(rows, version, mode)["delta_pp"] for version in versions]
            for rows in found["taste"]
        ]
        spread = [_spread(values) for values in zip(*deltas, strict=True)]
        ordered = sum(oracle > noisy > random for oracle, noisy, random in deltas)
        above = sum(oracle > random for oracle, _, random in deltas)
        shares = [_pick(rows, "oracle", mode, "attainable")["share"] for rows in found["taste"]]
        known = [100 * share for share in shares if share is not None]
        share = f"{fmean(known):.1f} % ({len(known)} worlds)" if known else "–"
        yield markdown_row([mode, *spread, f"{ordered} of {worlds}", f"{above} of {worlds}", share])
    yield "\n**`null`**: oracle vectors of a style that nothing depends on\n"
    head = ["against the baseline", "better", "worse", "against shuffled", "better", "worse"]
    yield markdown_row(["", *head])
    yield markdown_row(["---", *["---:"] * len(head)])
    for mode in MODES:
        places = []
        for comparison in ("baseline", "shuffled"):
            entries = [_pick(rows, "oracle", mode, comparison) for rows in found["null"]]
            better = sum(entry["low_pp"] > 0 for entry in entries)
            worse = sum(entry["high_pp"] < 0 for entry in entries)
            spread = _spread([entry["delta_pp"] for entry in entries])
            places += [spread, f"{better} of {worlds}", f"{worse} of {worlds}"]
        yield markdown_row([mode, *places])
    yield "\nBetter, worse: by 95 % intervals, simultaneous over the six comparisons of a world."


def _spread(values: list[float] | tuple[float, ...]) -> str:
    return f"{fmean(values):+.2f} ± {stdev(values):.2f}"


if __name__ == "__main__":
    main()
