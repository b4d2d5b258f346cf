"""`python benchmarks/default/pilot.py HOME`: how strong the default world's style has to be.

Trains the default matrix on pilot worlds of several strengths, and predicts the chance that
a fresh world of each gets the verdict "better". Pilot worlds are used here and nowhere else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from scipy.special import ndtr

from ctrbench.analysis.matrices import judged
from ctrbench.matrix import read_matrix
from ctrbench.runner import run_matrix
from ctrbench.workspace import Workspace
from data_synth.world import WorldConfig
from data_synth.writing import write_world

FILE = Path(__file__).parent / "taste.yaml"
STRENGTHS = (0.75, 1.0, 1.5)
WORLD_SEEDS = (900, 901)
IMPRESSIONS = 256_000
WORLD_SPREAD = 0.08  # of the attainable gain over worlds, relative; data_synth/README.md


class Quiet:
    """Shows nothing of a run but its finished cells, on standard error."""

    def begin(self, what: str, cells: int, missing: int) -> None:
        """See `ctrbench.runner.run.Observer`."""

    def progress(self, cell: object, share: float) -> None:
        """See `ctrbench.runner.run.Observer`."""

    def finished(self, record: object) -> None:
        """See `ctrbench.runner.run.Observer`."""
        sys.stderr.write(".")


@dataclass(frozen=True)
class Pilot:
    """One comparison of one pilot world, in fractions."""

    mode: str
    reference: str
    attainable: float  # gain of the true probability over the baseline
    estimate: float
    halfwidth: float  # of the simultaneous interval
    variance: float  # of the estimate


def main() -> None:
    """Print the table as Markdown."""
    root = Path(sys.argv[1])
    print(
        "| strength | comparison | attainable, pp | captured | gain, pp | half-width, pp | power |"
    )
    print("|---:|---|---:|---:|---:|---:|---:|")
    for strength in STRENGTHS:
        pilots = [one for seed in WORLD_SEEDS for one in _pilots(root, strength, seed)]
        for mode, reference in dict.fromkeys((one.mode, one.reference) for one in pilots):
            print(
                _line(strength, [p for p in pilots if (p.mode, p.reference) == (mode, reference)])
            )


def _pilots(root: Path, strength: float, seed: int) -> Iterator[Pilot]:
    home = root / f"{strength:g}-{seed}"
    config = WorldConfig("taste", impressions=IMPRESSIONS, strength=strength, seed=seed)
    write_world(config, home, pictures=0)
    workspace = Workspace(home)
    matrix = read_matrix(FILE, workspace)
    records = run_matrix(workspace, matrix, 2, False, Quiet())
    truth = json.loads((home / "truth" / "taste" / "attainable.json").read_text(encoding="utf-8"))
    baseline = fmean(
        one.metrics["test"].gauc or 0.0 for one in records.values() if one.cell.mode == "none"
    )
    for comparison, found in judged(workspace, matrix, records).items():
        if comparison.row.version == "oracle":
            yield Pilot(
                comparison.column.mode,
                "sibling" if comparison.reference else "baseline",
                truth["gauc"] - baseline,
                found.estimate,
                found.estimate - found.low,
                found.variance.total,
            )


def _line(strength: float, pilots: list[Pilot]) -> str:
    attainable = fmean(one.attainable for one in pilots)
    captured = fmean(one.estimate / one.attainable for one in pilots)
    gain, halfwidth = captured * attainable, fmean(one.halfwidth for one in pilots)
    spread = (fmean(one.variance for one in pilots) + (WORLD_SPREAD * gain) ** 2) ** 0.5
    power = float(ndtr((gain - halfwidth) / spread))
    name = f"oracle / {pilots[0].mode} against the {pilots[0].reference}"
    return (
        f"| {strength:g} | {name} | {100 * attainable:.1f} | {100 * captured:.0f} % "
        f"| {100 * gain:+.2f} | {100 * halfwidth:.2f} | {power:.3f} |"
    )


if __name__ == "__main__":
    main()
