"""Compares every mode under every setting of some benchmark files, on `valid` alone.

`python -m benchmarks.defaults.study HOME FILE [HOME FILE ...]` trains each file and writes
results/tables/defaults.md.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import numpy as np

from benchmarks.shared import (
    add_studies,
    arm_records,
    ctrbench,
    markdown_row,
    mean_and_error,
    studies,
    write_table,
)
from ctrbench.matrix import read_matrix
from ctrbench.plan import Column, Matrix, Row
from ctrbench.store import Store
from ctrbench.workspace import Workspace

CAPTION = (
    "GAUC on `valid` against the baseline of the same seed, pp; mean ± standard error over seeds. "
    "The trials of each mode, best first. Made by `benchmarks/defaults/study.py`; do not edit."
)
WORDS = ("HOME", "FILE")


def main() -> None:
    """Train the files, sort the trials of each mode, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_studies(parser, *WORDS)
    lines = [CAPTION]
    for home, file in studies(parser, parser.parse_args().studies, *WORDS):
        subprocess.run(
            ctrbench(home, "run", file, "--no-report"), check=True, stdout=subprocess.DEVNULL
        )
        workspace = Workspace(Path(home))
        matrix = read_matrix(Path(file), workspace)
        lines += ["", f"**{Path(file).name}**", "", "| settings | on valid |", "|---|---:|"]
        lines += _rows(Store(workspace), matrix)
    write_table("defaults.md", "\n".join(lines))


def _rows(store: Store, matrix: Matrix) -> list[str]:
    """Return one row per version and setting, sorted by gain within a mode."""
    baseline = _gauc(store, matrix, None, None)
    rows = []
    for mode in dict.fromkeys(column.mode for column in matrix.columns):
        own = [column for column in matrix.columns if column.mode == mode]
        trials = [
            (column.label, _gauc(store, matrix, row, column) - baseline)
            for row in matrix.rows
            for column in own
        ]
        rows += [
            markdown_row([label, mean_and_error(gain)])
            for label, gain in sorted(trials, key=lambda trial: -trial[1].mean())
        ]
    return rows


def _gauc(store: Store, matrix: Matrix, row: Row | None, column: Column | None) -> np.ndarray:
    """Return (S,) GAUC on valid by seed, in percentage points."""
    records = arm_records(store, matrix, row, column)
    return np.array([100 * (record.metrics["valid"].gauc or np.nan) for record in records])


if __name__ == "__main__":
    main()
