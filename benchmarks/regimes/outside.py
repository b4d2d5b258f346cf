"""Trains worlds of other constructions than the map, on which its predictions are checked.

`python -m benchmarks.regimes.outside --root DIR` adds one row per cell to
results/tables/regimes_outside.csv, as `study.py` does for the map.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.regimes.study import Point, add_rows, is_stored, trained_rows
from benchmarks.shared import TABLES
from data_synth.world import WorldConfig

OUTSIDE = TABLES / "regimes_outside.csv"
IMPRESSIONS, REPLICATES = 60_000, 3


@dataclass(frozen=True)
class OtherWorld(Point):
    """A world that is no point of the design."""

    kind: str = "taste"
    strength: float = 0.7
    within_style_deg: float = 27.0
    groups: int = 12  # categories, and styles

    def config(self, replicate: int) -> WorldConfig:
        """Return the world of a replicate."""
        changed = replace(
            super().config(replicate),
            kind=self.kind,
            strength=self.strength,
            within_style_deg=self.within_style_deg,
            categories=self.groups,
            styles=self.groups,
        )
        if self.kind == "complement":
            return replace(changed, alignment=self.alignment, roles=None)
        return replace(changed, alignment=None, roles=None)

    def files(self, replicate: int) -> Iterator[str]:
        """Yield the benchmark files of `Point`, for the data set of this world."""
        for text in super().files(replicate):
            yield text.replace("dataset: complement", f"dataset: {self.kind}")


def worlds() -> list[OtherWorld]:
    """Return the worlds: a role per category, new items, copies, other causes, tight styles."""

    def world(name: str, **changes: object) -> OtherWorld:
        plain = OtherWorld(name, IMPRESSIONS, REPLICATES, 1.0, items_per_1000=20)
        return replace(plain, **changes)

    return [
        world("own-roles", kind="complement", alignment=0.3),
        world("cold", kind="cold"),
        world("redundant", kind="redundant", groups=100),
        world("spurious", kind="spurious", strength=0.0, versions=("source",)),
        world("tight", within_style_deg=8.0, per_user=100),
    ]


def main() -> None:
    """Train the worlds that are not stored yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder for the worlds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    for replicate in range(REPLICATES):
        for world in worlds():
            if not is_stored(world, replicate, OUTSIDE):
                home = given.root / world.name / str(replicate)
                add_rows(trained_rows(world, replicate, home, given.jobs), OUTSIDE)


if __name__ == "__main__":
    main()
