"""Every mode under every setting of some benchmark files, judged on `valid` alone.

`python benchmarks/defaults/study.py HOME FILE [HOME FILE ...]` trains each file and writes
results/tables/defaults.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

from ctrbench.matrix import read_matrix
from ctrbench.plan import Column, Matrix, Row
from ctrbench.store import Store
from ctrbench.workspace import Workspace

TABLE = Path(__file__).resolve().parents[2] / "results" / "tables" / "defaults.md"


def main() -> None:
    """Train, order, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="+", help="HOME FILE, as often as wanted")
    given = parser.parse_args()
    if len(given.studies) % 2:
        parser.error("give HOME and FILE for every study")
    told = (
        "GAUC on `valid` against the baseline of the same seed, pp, mean ± standard error over "
        "seeds; each mode's trials, the best first. Made by `benchmarks/defaults/study.py`; do not "
        "edit.\n"
    )
    for home, file in zip(given.studies[::2], given.studies[1::2], strict=True):
        command = [sys.executable, "-m", "ctrbench", "--home", home, "run", file]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        workspace = Workspace(Path(home))
        matrix = read_matrix(Path(file), workspace)
        told += f"\n**{Path(file).name}**\n\n| settings | on valid |\n|---|---:|\n"
        told += _rows(Store(workspace), matrix)
    TABLE.write_text(told, encoding="utf-8")
    print(told)


def _rows(store: Store, matrix: Matrix) -> str:
    baseline = _valid(store, matrix, None, None)
    rows = ""
    for mode in dict.fromkeys(column.mode for column in matrix.columns):
        own = [column for column in matrix.columns if column.mode == mode]
        trials = [
            (column.label, _valid(store, matrix, row, column) - baseline)
            for row in matrix.rows
            for column in own
        ]
        for label, gain in sorted(trials, key=lambda trial: -trial[1].mean()):
            error = gain.std(ddof=1) / len(gain) ** 0.5
            rows += f"| {label} | {gain.mean():+.2f} ± {error:.2f} |\n"
    return rows


def _valid(store: Store, matrix: Matrix, row: Row | None, column: Column | None) -> np.ndarray:
    """By seed the GAUC, pp."""
    found = []
    for seed in matrix.file.seeds:
        cell = matrix.cell(row, column, seed)
        record = store.read(cell)
        if record is None or record.status != "done":
            raise SystemExit(f"{cell.label} is not done: did the run end well?")
        found.append(100 * (record.metrics["valid"].gauc or np.nan))
    return np.array(found)


if __name__ == "__main__":
    main()
