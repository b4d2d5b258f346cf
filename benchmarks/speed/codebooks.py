"""Time and memory of a large codebook: a million vectors, ten thousand codes.

`python -m benchmarks.speed.codebooks --home DIR` writes vectors from clusters of uneven size and
spread into a file below DIR, fits every method on its memory map in a separate process, assigns
each vector its code, and writes results/tables/speed_codebooks.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.shared import write_table
from benchmarks.speed.watching import load, machine, watched
from ctrbench.clustering import Method, fit_by, nearest_code

METHODS: tuple[Method, ...] = ("hierarchical", "single_pass")
CLUSTERS, BLOCK = 3_000, 50_000


def main() -> None:
    """Draw the vectors, fit every method, and write the table; --fit runs one method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder for the vectors")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--codes", type=int, default=10_000)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    given = parser.parse_args()
    path = given.home / f"vectors_{given.rows}_{given.width}.npy"
    if given.fit:
        print(json.dumps(_fitted(path, given.fit, given.codes)))
        return
    before = load()
    if not path.exists():
        given.home.mkdir(parents=True, exist_ok=True)
        _draw(path, given.rows, given.width)
    rows = ""
    for method in given.methods.split(","):
        command = [sys.executable, "-m", "benchmarks.speed.codebooks", *sys.argv[1:]]
        seen = watched([*command, "--fit", method])
        fitted = json.loads(seen.printed.splitlines()[-1])
        rows += (
            f"| {method} | {fitted['fit_s']:.0f} | {fitted['code_s']:.0f} | {seen.seconds:.0f} | "
            f"{seen.anonymous_kb / 2**20:.2f} | {seen.resident_kb / 2**20:.2f} | "
            f"{fitted['inertia']:.4f} |\n"
        )
        print(rows, flush=True)
    write_table(
        "speed_codebooks.md",
        f"{given.rows:,} vectors of width {given.width} from a memory map into {given.codes:,} "
        f"codes. Inertia: mean squared distance of unit vectors to their centre. {machine()}, "
        f"load before {before}. Made by `benchmarks/speed/codebooks.py`; do not edit.\n\n"
        "| method | fitting, s | assigning codes, s | whole process, s | anonymous memory, GiB | "
        "resident, memory map included, GiB | inertia |\n|---|---:|---:|---:|---:|---:|---:|\n"
        + rows,
    )


def _draw(path: Path, rows: int, width: int) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLUSTERS, width)).astype(np.float32)
    spread = rng.uniform(0.3, 1.5, CLUSTERS).astype(np.float32)
    share = rng.dirichlet(np.ones(CLUSTERS))
    made = np.lib.format.open_memmap(path, "w+", np.float32, (rows, width))
    for begin in range(0, rows, BLOCK):
        which = rng.choice(CLUSTERS, min(BLOCK, rows - begin), p=share)
        block = rng.standard_normal((len(which), width), np.float32)
        block = centres[which] + spread[which, None] * block
        made[begin : begin + len(which)] = block / np.linalg.norm(block, axis=1, keepdims=True)
    made.flush()


def _fitted(path: Path, method: Method, codes: int) -> dict[str, float]:
    vectors = np.load(path, mmap_mode="r")
    start = time.monotonic()
    centres = fit_by(method, vectors, codes, seed=0)
    fit_s, start, total = time.monotonic() - start, time.monotonic(), 0.0
    for begin in range(0, len(vectors), BLOCK):
        block = np.asarray(vectors[begin : begin + BLOCK])
        total += float(np.square(block - centres[nearest_code(block, centres)]).sum())
    code_s = time.monotonic() - start
    return {"fit_s": fit_s, "code_s": code_s, "inertia": total / len(vectors)}


if __name__ == "__main__":
    main()
