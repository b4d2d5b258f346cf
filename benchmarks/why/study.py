"""Shows how each arm learns and which inputs it uses, by traces averaged over seeds.

`python -m benchmarks.why.study HOME FILE [HOME FILE ...]` trains every benchmark file with traces
and writes results/tables/why.md. README.md states the hypotheses.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.shared import (
    add_studies,
    arm_records,
    ctrbench,
    late_over_early,
    markdown_row,
    mean_and_error,
    studies,
    write_table,
)
from ctrbench.analysis.traces import half_way
from ctrbench.matrix import read_matrix
from ctrbench.plan import Column, Matrix, Row
from ctrbench.schema import CellRecord, Trace
from ctrbench.store import Store
from ctrbench.workspace import Workspace

WORDS = ("HOME", "FILE")
PARTS = ("image", "ids")
CAPTION = (
    "Mean over seeds ± standard error, test period. Gradient: norm for the last batch, mean over "
    "the last fifth of the epoch divided by the mean over the first fifth. Half of the distance: "
    "share of the epoch after which half of the summed L2 distance between twenty points is "
    "covered. Loss: GAUC after images, or item ids, of the test period are permuted over items. "
    "Made by `benchmarks/why/study.py`; do not edit."
)
HEAD = (
    "| arm | GAUC against the baseline, pp | gradient of the image block, last fifth over first | "
    "of the ids | half of the distance, image block, % of the epoch | ids | loss without images, "
    "pp of GAUC | loss without ids |\n|---|---:|---:|---:|---:|---:|---:|---:|"
)
Traced = tuple[CellRecord, Trace]


def main() -> None:
    """Train the files with traces and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_studies(parser, *WORDS)
    lines = [CAPTION]
    for home, file in studies(parser, parser.parse_args().studies, *WORDS):
        command = ctrbench(home, "run", file, "--trace", "--no-report")
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        workspace = Workspace(Path(home))
        matrix = read_matrix(Path(file), workspace)
        lines += ["", f"**{matrix.dataset.name}**", "", HEAD, *_rows(Store(workspace), matrix)]
    write_table("why.md", "\n".join(lines))


def _rows(store: Store, matrix: Matrix) -> list[str]:
    baseline = _traced(store, matrix, None, None)
    rows = [_row("baseline", baseline, baseline)]
    for row in matrix.rows:
        for column in matrix.columns:
            own = _traced(store, matrix, row, column)
            rows.append(_row(f"{row.label} / {column.label}", own, baseline))
    return rows


def _traced(store: Store, matrix: Matrix, row: Row | None, column: Column | None) -> list[Traced]:
    """Return records and traces of an arm, one pair per seed."""
    found = []
    for record in arm_records(store, matrix, row, column):
        trace = store.read_trace(record.cell)
        if trace is None:
            sys.exit(f"{record.cell.label}, seed {record.cell.seed}: the cell has no trace.")
        found.append((record, trace))
    return found


def _row(name: str, own: list[Traced], baseline: list[Traced]) -> str:
    gains = [
        _gauc(ours) - _gauc(theirs) for (ours, _), (theirs, _) in zip(own, baseline, strict=True)
    ]
    traces = [trace for _, trace in own]
    halves = [half_way(trace) for trace in traces]
    losses = {
        which: [100 * trace.permuted[which]["gauc"] for trace in traces]
        for which in traces[0].permuted
    }
    places = [
        "" if own is baseline else _mean(gains, "+.2f"),
        *(_mean([late_over_early(t, part) for t in traces], ".2f") for part in PARTS),
        *(_mean([100 * half[part] for half in halves if part in half], ".0f") for part in PARTS),
        *(_mean(losses.get(which, []), ".2f") for which in ("image", "item_id")),
    ]
    return markdown_row([name, *places])


def _gauc(record: CellRecord) -> float:
    value = record.metrics["test"].value("gauc")
    assert value is not None
    return 100 * value


def _mean(values: list[float], form: str) -> str:
    """Return the mean and its standard error; empty if the arm has no such part."""
    return "" if not values or np.isnan(values).any() else mean_and_error(values, form)


if __name__ == "__main__":
    main()
