"""Measures the traits of the worlds of stored rows, for the fit of `ctrbench advise`.

`python -m benchmarks.regimes.traits --root DIR` makes the world of every point and replicate that
has stored rows and no stored traits, and adds one row per version to
results/tables/regimes_traits.csv. It trains nothing.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.regimes.outside import OUTSIDE, held_out, sized, worlds
from benchmarks.regimes.study import CONTROL, Point, add_rows, points, read_rows
from benchmarks.shared import TABLES
from ctrbench import embeddings, impressions
from ctrbench.advising.traits import SIZES, Traits, measure
from ctrbench.workspace import Workspace
from data_synth.writing import write_world

TRAITS = TABLES / "regimes_traits.csv"
KEY = "point", "replicate", "version"


def stored_keys() -> list[tuple[str, str, str]]:
    """Return point, replicate and version of results and of `sized`, without controls."""
    rows = [*read_rows(), *read_rows(OUTSIDE)]
    keys = (
        (row["point"], row["replicate"], row["version"])
        for row in rows
        if row["version"] not in ("", CONTROL)
    )
    every = ((world, str(replicate)) for world in sized() for replicate in range(world.replicates))
    chosen = ((world.name, replicate, world.versions[0]) for world, replicate in every)
    return list(dict.fromkeys([*keys, *chosen]))


def read_traits(path: Path = TRAITS) -> dict[tuple[str, str, str], Traits]:
    """Return the stored traits by point, replicate and version."""
    found = {}
    for row in read_rows(path):
        values = {name: float(row[name]) for name in row if name not in KEY and row[name]}
        codes = {size: values.pop(f"codes_{size}") for size in SIZES if f"codes_{size}" in values}
        point, replicate, version = (row[name] for name in KEY)
        found[point, replicate, version] = Traits(**values, codes_pp=codes)  # pyright: ignore
    return found


def main() -> None:
    """Measure the traits that are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder for the worlds")
    parser.add_argument("--points", default="", help="first letters of the names of points")
    given = parser.parse_args()
    every: list[Point] = [*points(), *worlds(), *held_out(), *sized()]
    known = {point.name: point for point in every}
    stored, missing = read_traits(), {}
    for key in stored_keys():
        used = not known[key[0]].training  # `advice.py` predicts no warm start
        if used and key[0].startswith(given.points) and key not in stored:
            config = known[key[0]].config(int(key[1]))  # points can share a world
            missing.setdefault(config, {}).setdefault(key[2], []).append(key)
    for config, versions in sorted(missing.items(), key=lambda one: one[0].seed):
        home = given.root / f"{config.kind}-{config.impressions}-{config.seed}"
        write_world(config, home, workers=1)
        workspace = Workspace(home)
        log = impressions.open_impressions(workspace, config.kind)
        for version, keys in versions.items():
            found = measure(log, embeddings.open_version(workspace, config.kind, version))
            for key in keys:
                add_traits(key, found)
                print(*key, flush=True)
        shutil.rmtree(home)


def add_traits(key: tuple[str, str, str], found: Traits, path: Path = TRAITS) -> None:
    """Append the traits of a world and a version.

    Args:
        key: The values of KEY.
        found: The traits.
        path: The stored traits; created if missing.
    """
    values: dict[str, Any] = asdict(found)
    codes, _ = values.pop("codes_pp"), values.pop("covariance")  # the fit has errors of its own
    row = dict(zip(KEY, key, strict=True)) | {name: f"{values[name]:.6g}" for name in values}
    row |= {f"codes_{size}": f"{codes[size]:.6g}" if size in codes else "" for size in SIZES}
    add_rows([row], path)


if __name__ == "__main__":
    main()
