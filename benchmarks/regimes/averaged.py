"""Trains points of the map with averaged weights, which depend less on the last steps.

`python -m benchmarks.regimes.averaged --root DIR` adds one row per cell to
results/tables/regimes_averaged.csv, as `study.py` does for the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.regimes.study import CONTROL, SIZES, Point, add_missing, arguments, trained_rows
from benchmarks.shared import TABLES

AVERAGED = TABLES / "regimes_averaged.csv"
SHARE = 0.25  # of the training whose weights are averaged
REPLICATES = {"10000k": 1, "1500k": SIZES["1500k"][1]}
MODES = """\
  vector: {}
  sim_score: {}
  cluster_id: {codebook_size: CODES}
"""


@dataclass(frozen=True)
class Averaged(Point):
    """A point of the map with three modes."""

    def modes(self, replicate: int) -> Sequence[tuple[str, dict[str, object]]]:
        """Return the modes of the benchmark file."""
        return ((MODES.replace("CODES", str(self.codes)), {}),)


def averaged() -> list[Averaged]:
    """Return the points, which have the names and worlds of those of the map."""
    versions = {"10000k": ("oracle",), "1500k": ("oracle", CONTROL)}
    return [
        Averaged(
            f"main-{size}-{alignment:g}",
            SIZES[size][0],
            REPLICATES[size],
            alignment,
            versions=versions[size],
            training={"weight_averaging": SHARE},
        )
        for alignment in (0.0, 1.0)
        for size in REPLICATES
    ]


def main() -> None:
    """Train the points that are not stored yet."""
    pairs = ((point, replicate) for point in averaged() for replicate in range(point.replicates))
    add_missing(pairs, trained_rows, AVERAGED, arguments(__doc__).parse_args())


if __name__ == "__main__":
    main()
