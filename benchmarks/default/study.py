"""Run the default matrices on 20 fresh worlds of each kind and count their verdicts.

`python -m benchmarks.default.study HOME` makes worlds of exactly the default sizes, runs taste.yaml
and null.yaml on them, and writes results/tables/default.md and default.json. It reuses cells that
are stored below HOME.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from benchmarks.default import FILES, IMPRESSIONS, STRENGTH, better_modes, stored_table, world
from benchmarks.shared import ctrbench, data_synth, markdown_row, write_table
from ctrbench.analysis.blocks import headline
from ctrbench.analysis.table import ComparisonTable

WORLD_SEEDS = range(2000, 2020)  # not used for any choice
HEADER = (
    "mode",
    "oracle over the baseline, pp",
    "oracle over shuffled, pp",
    "oracle better",
    "random better",
    "shuffled above the baseline",
    "`null`: oracle better",
    "`null`: oracle worse",
)


@dataclass(frozen=True)
class Found:
    """The verdicts on one mode in one pair of worlds; gains in percentage points."""

    seed: int
    mode: str
    gain: float
    image: float
    oracle_better: bool
    random_better: bool
    shuffled_above: int  # siblings of oracle and random whose pointwise interval is above zero
    null_better: bool
    null_worse: bool


def main() -> None:
    """Make the worlds, train the matrices, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path, help="folder for the worlds")
    home = parser.parse_args().home
    found = [one for seed in WORLD_SEEDS for one in _found(home, seed)]
    write_table("default.md", "\n".join(_table(found)))
    write_table("default.json", json.dumps([asdict(one) for one in found], indent=1))


def _found(root: Path, seed: int) -> Iterator[Found]:
    taste, null = (_run(root / f"{kind}-{seed}", kind, seed) for kind in FILES)
    oracle, random = better_modes(taste, "oracle"), better_modes(taste, "random")
    false, worse = better_modes(null, "oracle"), null.answer.of("worse")
    for finding in taste.answer.findings:
        mode = finding.column.mode
        if finding.row.version != "oracle" or finding.image is None:
            continue
        yield Found(
            seed,
            mode,
            100 * finding.gain.estimate,
            100 * finding.image.estimate,
            mode in oracle,
            mode in random,
            _siblings_above(taste, mode),
            mode in false,
            mode in [one.column.mode for one in worse],
        )


def _run(home: Path, kind: str, seed: int) -> ComparisonTable:
    subprocess.run(data_synth(home, **world(kind, seed)), check=True, stdout=subprocess.DEVNULL)
    command = ctrbench(home, "run", FILES[kind], "--no-report")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return stored_table(home, kind)


def _siblings_above(table: ComparisonTable, mode: str) -> int:
    """Return the number of shuffled siblings whose interval lies above the baseline."""
    block = headline(table.blocks, "baseline")
    return sum(
        entry.inference is not None and entry.inference.low > 0
        for line in (block.lines if block else ())
        if line.control
        for column, entry in zip(table.columns, line.entries, strict=True)
        if column.mode == mode
    )


def _table(found: list[Found]) -> Iterator[str]:
    worlds = len(WORLD_SEEDS)
    counts = [sum(one.oracle_better for one in found if one.seed == seed) for seed in WORLD_SEEDS]
    two = sum(count >= 2 for count in counts)
    yield (
        f"Verdicts of the default run in {worlds} fresh worlds of each kind (seeds "
        f"{WORLD_SEEDS[0]} to {WORLD_SEEDS[-1]}): {IMPRESSIONS:,} impressions, strength "
        f"{STRENGTH:g} in `taste`, GAUC. *Better*: by both deltas, over the baseline and over "
        f"shuffled vectors. **Oracle vectors are better in at least two of three modes in {two} of "
        f"{worlds} worlds.** Made by `python -m benchmarks.default.study HOME`; do not edit.\n"
    )
    yield markdown_row(HEADER)
    yield markdown_row(["---", *["---:"] * (len(HEADER) - 1)])
    for mode in dict.fromkeys(one.mode for one in found):
        rows = [one for one in found if one.mode == mode]
        gains = [fmean(one.gain for one in rows), fmean(one.image for one in rows)]
        of = [
            (sum(one.oracle_better for one in rows), worlds),
            (sum(one.random_better for one in rows), worlds),
            (sum(one.shuffled_above for one in rows), 2 * worlds),
            (sum(one.null_better for one in rows), worlds),
            (sum(one.null_worse for one in rows), worlds),
        ]
        cells = [f"{gain:+.2f}" for gain in gains] + [f"{count} of {all_}" for count, all_ in of]
        yield markdown_row([mode, *cells])
    yield (
        "\nVerdicts use 95 % intervals, simultaneous over the comparisons of a run. Intervals of "
        "shuffled vectors are pointwise: 2.5 % lie above zero by chance. `sim_score` also gains "
        "from vectors without image content: every vector has the similarity 1 to itself, so that "
        "the model sees whether the user clicked the same item before."
    )


if __name__ == "__main__":
    main()
