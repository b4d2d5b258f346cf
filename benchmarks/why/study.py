"""How each arm learned and what it uses: traces of a whole matrix, averaged over its seeds.

`python benchmarks/why/study.py HOME FILE [HOME FILE ...]` trains every benchmark file with traces
and writes results/tables/why.md; README.md says what is asked of it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

from ctrbench.cli.explaining import half_way
from ctrbench.matrix import read_matrix
from ctrbench.plan import Column, Matrix, Row
from ctrbench.schema import CellRecord, Trace
from ctrbench.store import Store
from ctrbench.workspace import Workspace

TABLE = Path(__file__).resolve().parents[2] / "results" / "tables" / "why.md"
PARTS = ("image", "ids")
HEAD = (
    "| arm | GAUC against the baseline, pp | gradient of the image block, late over early | of the "
    "ids | half of its way gone, image block, % of the epoch | ids | lost without its images, pp "
    "of GAUC | lost without its ids |\n|---|---:|---:|---:|---:|---:|---:|---:|\n"
)
Seen = tuple[CellRecord, Trace]


def main() -> None:
    """Train, read, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="+", help="HOME FILE, as often as wanted")
    given = parser.parse_args()
    if len(given.studies) % 2:
        parser.error("give HOME and FILE for every study")
    told = (
        "Mean over seeds ± standard error, test period. Gradient: norm of the last batch's, mean "
        "of the last fifth of the epoch over that of the first. Way: summed over twenty points. "
        "Lost: images, or ids, of the test period dealt out anew among items. Made by "
        "`benchmarks/why/study.py`; do not edit.\n"
    )
    for home, file in zip(given.studies[::2], given.studies[1::2], strict=True):
        command = [sys.executable, "-m", "ctrbench", "--home", home, "run", file, "--trace"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        workspace = Workspace(Path(home))
        matrix = read_matrix(Path(file), workspace)
        told += f"\n**{matrix.dataset.name}**\n\n{HEAD}{_rows(Store(workspace), matrix)}"
    TABLE.write_text(told, encoding="utf-8")
    print(told)


def _rows(store: Store, matrix: Matrix) -> str:
    baseline = _seen(store, matrix, None, None)
    rows = _row("baseline", baseline, baseline)
    for row in matrix.rows:
        for column in matrix.columns:
            own = _seen(store, matrix, row, column)
            rows += _row(f"{row.label} / {column.label}", own, baseline)
    return rows


def _seen(store: Store, matrix: Matrix, row: Row | None, column: Column | None) -> list[Seen]:
    """Records and traces of an arm, seed by seed."""
    found = []
    for seed in matrix.file.seeds:
        cell = matrix.cell(row, column, seed)
        record, trace = store.read(cell), store.read_trace(cell)
        if record is None or trace is None:
            raise SystemExit(f"{cell.label} has no trace: did the run end well?")
        found.append((record, trace))
    return found


def _row(name: str, own: list[Seen], baseline: list[Seen]) -> str:
    gains = [
        _gauc(ours) - _gauc(theirs) for (ours, _), (theirs, _) in zip(own, baseline, strict=True)
    ]
    traces = [trace for _, trace in own]
    ways = [half_way(trace) for trace in traces]
    lost = {
        which: [100 * trace.permuted[which]["gauc"] for trace in traces]
        for which in traces[0].permuted
    }
    places = [
        "" if own is baseline else _mean(gains, "{:+.2f}"),
        *(_mean([_late_over_early(t, part) for t in traces], "{:.2f}") for part in PARTS),
        *(
            _mean([100 * halves[part] for halves in ways if part in halves], "{:.0f}")
            for part in PARTS
        ),
        *(_mean(lost.get(which, []), "{:.2f}") for which in ("image", "item_id")),
    ]
    return f"| {name} | {' | '.join(places)} |\n"


def _gauc(record: CellRecord) -> float:
    value = record.metrics["test"].gauc
    assert value is not None
    return 100 * value


def _late_over_early(trace: Trace, part: str) -> float:
    gradients = [p.blocks[part].gradient for p in trace.points if part in p.blocks]
    fifth = len(trace.points) // 5
    if not gradients or not fifth:
        return float("nan")
    return float(np.mean(gradients[-fifth:]) / np.mean(gradients[:fifth]))


def _mean(values: list[float], form: str) -> str:
    """With its standard error; empty where the arm has no such part."""
    if not values or np.isnan(values).any():
        return ""
    error = np.std(values, ddof=1) / len(values) ** 0.5
    return f"{form} ± {form.replace('+', '')}".format(np.mean(values), error)


if __name__ == "__main__":
    main()
