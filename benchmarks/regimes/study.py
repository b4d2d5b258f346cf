"""Trains the map of regimes; README.md of this folder is its design.

`python -m benchmarks.regimes.study --root DIR --points main-60k` makes the worlds of the points
whose name begins with the word, trains all modes, and adds one row per cell to
results/tables/regimes.csv. Worlds are removed when their cells are stored; finished ones are
skipped, so the command can be interrupted and repeated.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from benchmarks.shared import TABLES, trained
from ctrbench.matrix import read_matrix
from ctrbench.schema import Cell
from ctrbench.workspace import Workspace
from data_synth.world import WorldConfig
from data_synth.writing import write_world

ROWS = TABLES / "regimes.csv"
ALIGNMENTS = (1.0, 0.75, 0.5, 0.25, 0.0)
CONTROL = "random"  # vectors without information
SIZES = {"60k": (60_000, 16), "300k": (300_000, 6), "1500k": (1_500_000, 3), "10000k": (10**7, 2)}
PER_USER = 60  # impressions: 12 clicks
MODES = """\
  vector: {}
  sim_score: {}
  sim_tier: {}
  cluster_id: {codebook_size: CODES}
  residual_id: {}
  product_id: {}
  hash_id: {}
  id_init: {}
  sim_tier+cluster_id: {cluster_id.codebook_size: CODES}
"""
FILE = """\
dataset: complement
versions: [VERSIONS]
modes:
MODES
seeds: [SEED]
controls: []
repeat_baseline: false
model: MODEL
training: TRAINING
"""
SAME = 2e-4  # GAUC; the same training on another machine rounds differently
TRAINING = {"batch_size": 512, "learning_rate": 4e-3}


AnyPoint = TypeVar("AnyPoint", bound="Point")


@dataclass(frozen=True)
class Point:
    """One point of the design."""

    name: str
    impressions: int  # of train
    replicates: int
    alignment: float
    items_per_1000: float = 10  # per 1,000 training impressions
    codes_per_100: float = 2  # per 100 items
    popularity_exponent: float = 0.7
    per_user: int = PER_USER
    versions: tuple[str, ...] = ("oracle",)
    model: dict[str, object] = field(default_factory=dict)
    training: dict[str, object] = field(default_factory=dict)

    @property
    def codes(self) -> int:
        """The codebook size of `cluster_id`."""
        return max(2, round(self.codes_per_100 * self.config(0).items / 100))

    def config(self, replicate: int) -> WorldConfig:
        """Return the world of a replicate."""
        return WorldConfig(
            kind="complement",
            users=2 * self.impressions // self.per_user,
            items=round(self.items_per_1000 * self.impressions / 1000),
            impressions=2 * self.impressions,
            strength=1.0,
            seed=replicate,
            popularity_exponent=self.popularity_exponent,
            alignment=self.alignment,
            roles=2,
        )

    def modes(self, replicate: int) -> Sequence[tuple[str, dict[str, object]]]:
        """Return the modes of each benchmark file, with settings of its model.

        Args:
            replicate: The number of the replicate.
        """
        softmax: dict[str, object] = {"attention_weights": "softmax"}
        modes = MODES.replace("CODES", str(self.codes))
        if "warm_start" in self.training:  # vectors would initialise ids that are trained already
            modes = modes.replace("  id_init: {}\n", "")
        return (modes, {}), ("  sim_attention: {}\n", softmax)

    def label(self, cell: Cell) -> str:
        """Return the name of the mode of a cell in the rows.

        Args:
            cell: A cell of `files`.
        """
        softmax = cell.version is None and cell.model.get("attention_weights") == "softmax"
        return f"{cell.mode}/softmax" if softmax else cell.mode

    def files(self, replicate: int) -> Iterator[str]:
        """Yield the benchmark files of `modes`."""
        for modes, model in self.modes(replicate):
            text = FILE.replace("MODES\n", modes)
            for name, value in {
                "VERSIONS": ", ".join(self.versions),
                "SEED": str(replicate),
                "MODEL": json.dumps(self.model | model),
                "TRAINING": json.dumps(TRAINING | self.training),
            }.items():
                text = text.replace(name, value)
            yield text


def points() -> list[Point]:
    """Return all points of the design."""
    found = []
    for size, (impressions, replicates) in SIZES.items():
        for alignment in ALIGNMENTS if size != "10000k" else (1.0, 0.0):
            name = f"main-{size}-{alignment:g}"
            found.append(Point(name, impressions, replicates, alignment))
    impressions, replicates = SIZES["300k"]
    single: dict[str, dict[str, object]] = {
        **{f"items-{n:g}": {"items_per_1000": n} for n in (2, 50)},
        **{f"tail-{n:g}": {"popularity_exponent": n} for n in (0.4, 1.1)},
        **{f"codes-{n:g}": {"codes_per_100": n} for n in (0.5, 8)},
        **{f"clicks-{n // 5}": {"per_user": n} for n in (25, 100)},
        "vectors": {"versions": ("noisy_0.5", "noisy_0.125", "random")},
        "warm": {"training": {"warm_start": 0.5}},
    }
    for alignment in (1.0, 0.0):
        for name, changed in single.items():
            full = f"{name}-{alignment:g}"
            found.append(replace(Point(full, impressions, replicates, alignment), **changed))
    return found


def controls() -> list[Point]:
    """Return points of the map with random vectors, as the section on controls states them.

    Those of 300,000 training impressions are the points `vectors`. With 1.5 million the same
    baseline differs between processors, so that `averaged.py` has its own.
    """
    return [
        replace(point, versions=(CONTROL,))
        for point in points()
        if point.name.startswith("main-60k-")
    ]


def main() -> None:
    """Train the points that are not stored yet."""
    parser = arguments(__doc__)
    parser.add_argument("--points", default="", help="first letters of the names of points")
    given = parser.parse_args()
    for train, known in ((trained_rows, points()), (control_rows, controls())):
        chosen = [point for point in known if point.name.startswith(given.points)]
        pairs = ((point, replicate) for point in chosen for replicate in range(point.replicates))
        add_missing(pairs, train, ROWS, given)


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the options that the studies of this folder share.

    Args:
        description: Of the command.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, required=True, help="folder for the worlds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser


def add_missing(
    pairs: Iterable[tuple[AnyPoint, int]],
    train: Callable[[AnyPoint, int, Path, int], list[dict[str, object]]],
    path: Path,
    given: argparse.Namespace,
) -> None:
    """Train the replicates that are not stored, and add their rows.

    Args:
        pairs: Points and numbers of replicates, in the order to train.
        train: Returns the rows of a replicate; its arguments are those of `trained_rows`.
        path: The stored rows.
        given: The values of `arguments`.
    """
    for point, replicate in pairs:
        if not is_stored(point, replicate, path):
            home = given.root / point.name / str(replicate)
            add_rows(train(point, replicate, home, given.jobs), path)


def read_rows(path: Path = ROWS) -> list[dict[str, str]]:
    """Return the stored rows, by the names of the columns."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def is_stored(point: Point, replicate: int, path: Path = ROWS) -> bool:
    """Return whether the rows of a replicate are stored.

    Args:
        point: The point.
        replicate: The number of the replicate.
        path: The stored rows.
    """
    key = point.name, str(replicate)
    stored = {r["version"] for r in read_rows(path) if (r["point"], r["replicate"]) == key}
    return stored >= set(point.versions)


def trained_rows(point: Point, replicate: int, home: Path, jobs: int) -> list[dict[str, object]]:
    """Make the world of a replicate, train its cells, and return a row for each.

    Args:
        point: The point.
        replicate: The number of the replicate, also the seed of world and model.
        home: A folder for the world, which is removed.
        jobs: The number of cells to train at once.
    """
    write_world(point.config(replicate), home, workers=jobs)
    workspace, found = Workspace(home), []
    for number, text in enumerate(point.files(replicate)):
        file = home / f"{number}.yaml"
        file.write_text(text, encoding="utf-8")
        cells = list(read_matrix(file, workspace).cells())
        for record in trained(workspace, cells, f"{point.name} {replicate}", jobs).values():
            cell, gauc = record.cell, record.metrics["test"].value("gauc")
            place = {"point": point.name, "replicate": replicate, "version": cell.version or ""}
            found.append(place | {"mode": point.label(cell), "gauc": f"{gauc:.6f}"})
    shutil.rmtree(home)
    return found


def control_rows(
    point: Point, replicate: int, home: Path, jobs: int, path: Path = ROWS
) -> list[dict[str, object]]:
    """Return rows as `trained_rows` does, without the baselines, which are stored already.

    Exits if they are not, or differ by more than rounding: gains of both would not be paired.

    Args:
        point: A control.
        replicate: The number of the replicate, also the seed of world and model.
        home: A folder for the world, which is removed.
        jobs: The number of cells to train at once.
        path: The stored rows.
    """
    known = {
        row["mode"]: float(row["gauc"])
        for row in read_rows(path)
        if (row["point"], row["replicate"], row["version"]) == (point.name, str(replicate), "")
    }
    rows = trained_rows(point, replicate, home, jobs)
    for row in rows:
        stored = known.get(str(row["mode"]), math.nan)
        if not row["version"] and not abs(float(str(row["gauc"])) - stored) < SAME:
            sys.exit(
                f"{point.name} {replicate}: the baseline {row['mode']} is {row['gauc']}, and "
                f"{stored} in the stored rows."
            )
    return [row for row in rows if row["version"]]


def add_rows(rows: Sequence[Mapping[str, object]], path: Path = ROWS) -> None:
    """Append rows.

    Args:
        rows: The rows, with the columns of the file.
        path: The stored rows; created if missing.
    """
    new = not path.exists()
    with path.open("a+", encoding="utf-8", newline="") as file:
        file.seek(0)
        columns = list(rows[0]) if new else next(csv.reader(file))
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
