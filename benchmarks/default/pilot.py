"""Compute the power of the default run for several strengths of style.

`python -m benchmarks.default.pilot HOME` trains the default matrix on pilot worlds below HOME, and
writes results/tables/default_power.md. The seeds of pilot worlds are used for nothing else.

The gain of a fresh world is the share of the attainable gain that a mode captures in the pilot
worlds, times the attainable gain, which the true click probabilities give without any model. It
varies over worlds as the attainable gain does (data_synth/README.md). The estimate divided by its
standard error has a noncentral t distribution, because the seed variance is estimated from few
seeds. Its degrees of freedom, the standard error and the critical value are those of a pilot world;
the power is the mean over the pilot worlds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from scipy.special import ndtri
from scipy.stats import nct

from benchmarks.default import FILES, IMPRESSIONS, world
from benchmarks.shared import ctrbench, data_synth, markdown_row, trained, write_table
from ctrbench.analysis.matrices import judged
from ctrbench.matrix import read_matrix
from ctrbench.workspace import Workspace

STRENGTHS = (0.85, 1.0)
PILOT_SEEDS = (900, 901, 902)
WORLD_SPREAD = 0.08  # standard deviation of the attainable gain over worlds, relative to its mean


@dataclass(frozen=True)
class Pilot:
    """One comparison of oracle vectors in one pilot world; differences are fractions."""

    mode: str
    reference: str
    seeds: int  # of the training
    attainable: float  # GAUC of the true probability minus GAUC of the baseline
    estimate: float
    halfwidth: float  # of the simultaneous interval
    error: float  # standard error of the estimate
    degrees: float  # of freedom of the standard error

    def power(self, gains: np.ndarray) -> float:
        """Return the mean probability that the interval lies above zero, over (n,) true gains."""
        critical = self.halfwidth / self.error
        return float(nct.sf(critical, self.degrees, gains / self.error).mean())


def main() -> None:
    """Train what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path, help="folder for the pilot worlds")
    home = parser.parse_args().home
    rows = [row for strength in STRENGTHS for row in _rows(home, strength)]
    write_table("default_power.md", "\n".join(_table(rows)))
    write_table("default_power.json", json.dumps(rows, indent=1))


def _table(rows: list[dict]) -> Iterator[str]:
    seeds = ", ".join(map(str, PILOT_SEEDS))
    yield (
        f"Power of the default run: {IMPRESSIONS:,} impressions, {rows[0]['seeds']} training "
        "seeds, oracle vectors, GAUC in percentage points. Means of "
        f"{len(PILOT_SEEDS)} pilot worlds (seeds {seeds}), which are used for nothing else. "
        "Captured: share of the gain that the true probabilities offer over the baseline. Power: "
        "probability that a fresh world shows the effect. Made by "
        "`python -m benchmarks.default.pilot HOME`; do not edit.\n"
    )
    yield markdown_row(rows[0])
    yield markdown_row(["---:", "---:", "---", "---", "---:", "---:", "---:", "---:", "---:"])
    forms = ("g", "d", "", "", ".1f", ".0%", "+.2f", ".2f", ".3f")
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
                len(found.seeds),
                truth["gauc"] - baseline,
                found.estimate,
                found.estimate - found.low,
                found.variance.standard_error,
                found.variance.degrees,
            )


def _row(strength: float, pilots: list[Pilot]) -> dict:
    attainable = fmean(one.attainable for one in pilots)
    captured = fmean(one.estimate / one.attainable for one in pilots)
    gain = captured * attainable
    gains = gain * (1 + WORLD_SPREAD * ndtri(np.linspace(0.005, 0.995, 100)))
    return {
        "strength": strength,
        "seeds": pilots[0].seeds,
        "mode": pilots[0].mode,
        "against": pilots[0].reference,
        "attainable, pp": 100 * attainable,
        "captured": captured,
        "gain, pp": 100 * gain,
        "half-width, pp": 100 * fmean(one.halfwidth for one in pilots),
        "power": fmean(one.power(gains) for one in pilots),
    }


if __name__ == "__main__":
    main()
