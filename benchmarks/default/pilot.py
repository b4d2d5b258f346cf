"""Compute the power of the default run for several strengths of style.

`python -m benchmarks.default.pilot HOME` trains the default matrix on pilot worlds below HOME, and
writes results/tables/default_power.md. The seeds of pilot worlds are used for nothing else. The
probability that a fresh world shows an effect follows from the effect and its variance in the pilot
worlds, and from the variation of the attainable gain over worlds, which the true click
probabilities give without any model (data_synth/README.md).
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from scipy.special import ndtr

from benchmarks.default import FILES, IMPRESSIONS, world
from benchmarks.shared import ctrbench, data_synth, markdown_row, trained, write_table
from ctrbench.analysis.matrices import judged
from ctrbench.matrix import read_matrix
from ctrbench.workspace import Workspace

STRENGTHS = (0.75, 1.0)
PILOT_SEEDS = (900, 901)
WORLD_SPREAD = 0.08  # standard deviation of the attainable gain over worlds, relative to its mean


@dataclass(frozen=True)
class Pilot:
    """One comparison of oracle vectors in one pilot world; differences are fractions."""

    mode: str
    reference: str
    attainable: float  # GAUC of the true probability minus GAUC of the baseline
    estimate: float
    halfwidth: float  # of the simultaneous interval
    variance: float  # of the estimate


def main() -> None:
    """Train what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path, help="folder for the pilot worlds")
    home = parser.parse_args().home
    rows = [row for strength in STRENGTHS for row in _rows(home, strength)]
    write_table("default_power.md", "\n".join(_table(rows)))
    write_table("default_power.json", json.dumps(rows, indent=1))


def _table(rows: list[dict]) -> Iterator[str]:
    yield (
        f"Power of the default run: {IMPRESSIONS:,} impressions, 3 seeds, oracle vectors, GAUC in "
        f"percentage points. Means of {len(PILOT_SEEDS)} pilot worlds (seeds "
        f"{', '.join(map(str, PILOT_SEEDS))}), which are used for nothing else. Captured: share of "
        "the gain that the true probabilities offer over the baseline. Power: probability that a "
        "fresh world shows the effect. Made by `python -m benchmarks.default.pilot`; do not edit.\n"
    )
    yield markdown_row(rows[0])
    yield markdown_row(["---:", "---", "---", "---:", "---:", "---:", "---:", "---:"])
    forms = ("g", "", "", ".1f", ".0%", "+.2f", ".2f", ".3f")
    for row in rows:
        yield markdown_row(map(format, row.values(), forms))


def _rows(home: Path, strength: float) -> Iterator[dict]:
    """Return a row per mode and reference."""
    pilots = [one for seed in PILOT_SEEDS for one in _pilots(home, strength, seed)]
    for place in dict.fromkeys((one.mode, one.reference) for one in pilots):
        yield _row(strength, [one for one in pilots if (one.mode, one.reference) == place])


def _pilots(root: Path, strength: float, seed: int) -> Iterator[Pilot]:
    home = root / f"{strength:g}-{seed}"
    options = world("taste", seed) | {"strength": strength}
    subprocess.run(data_synth(home, **options), check=True)
    command = ctrbench(home, "run", FILES["taste"], "--no-report")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    workspace = Workspace(home)
    matrix = read_matrix(FILES["taste"], workspace)
    records = trained(workspace, list(matrix.cells()), "pilot", jobs=1)
    truth = json.loads((home / "truth/taste/attainable.json").read_text(encoding="utf-8"))
    baseline = fmean(
        one.metrics["test"].value("gauc") or 0.0
        for one in records.values()
        if one.cell.version is None
    )
    for comparison, found in judged(workspace, matrix, records).items():
        if comparison.row.version == "oracle":
            yield Pilot(
                comparison.column.mode,
                "shuffled vectors" if comparison.reference else "the baseline",
                truth["gauc"] - baseline,
                found.estimate,
                found.estimate - found.low,
                found.variance.total,
            )


def _row(strength: float, pilots: list[Pilot]) -> dict:
    attainable = fmean(one.attainable for one in pilots)
    captured = fmean(one.estimate / one.attainable for one in pilots)
    gain, halfwidth = captured * attainable, fmean(one.halfwidth for one in pilots)
    deviation = (fmean(one.variance for one in pilots) + (WORLD_SPREAD * gain) ** 2) ** 0.5
    return {
        "strength": strength,
        "mode": pilots[0].mode,
        "against": pilots[0].reference,
        "attainable, pp": 100 * attainable,
        "captured": captured,
        "gain, pp": 100 * gain,
        "half-width, pp": 100 * halfwidth,
        "power": float(ndtr((gain - halfwidth) / deviation)),
    }


if __name__ == "__main__":
    main()
