"""Tests whether the DIN of ctrbench and of FuxiCTR are equivalent: two one-sided tests.

`python -m benchmarks.speed.parity --root DIR --dataset NAME --field FIELD` trains both on a data
set that was imported below DIR: the same impressions, inputs, sizes and optimizer, one epoch, two
seeds at once, in alternation. Runs are stored in results/tables/speed_parity.json by data set and
reused; results/tables/speed_parity.md contains the tests. The seeds of the two libraries are
unrelated, so the means are compared by Welch's test. Two libraries are equivalent if the 90 %
interval of the difference lies within the margin.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

from benchmarks.shared import TABLES, markdown_row, write_table
from benchmarks.speed.training import AT_ONCE, install, train_at_once
from ctrbench import impressions
from ctrbench.batches.packing import Packer
from ctrbench.batches.slots import HistorySlots
from ctrbench.impressions.periods import chunks
from ctrbench.schema import Impressions
from ctrbench.settings import ModelSettings
from ctrbench.workspace import Workspace

MARGIN = 0.001
SIDES = ("ctrbench", "fuxictr")
METRICS = ("auc", "gauc")
RUNS = TABLES / "speed_parity.json"
LONGEST = 50

Runs = dict[str, dict[str, dict[str, dict[str, float]]]]  # data set -> side -> seed -> metric


def main() -> None:
    """Train missing runs, test equivalence, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="workspace with the data set")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--field", default="category", help="the item field that both receive")
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    root = given.root.resolve()
    install(root, ["fuxictr"])
    log = root / f"{given.dataset}.log"
    if not log.exists():
        export(Workspace(root), given.dataset, given.field, log)
    runs: Runs = json.loads(RUNS.read_text(encoding="utf-8")) if RUNS.exists() else {}
    of_dataset = runs.setdefault(given.dataset, {side: {} for side in SIDES})
    for seed in range(0, given.seeds, AT_ONCE):
        for side in SIDES:
            if str(seed) in of_dataset[side]:
                continue
            for run in train_at_once(side, "none", root, given.dataset, seed, given.field):
                of_dataset[side][str(run["seed"])] = {name: run[name] for name in METRICS}
            RUNS.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
        print(f"seeds to {seed + 1}", flush=True)
    write_table("speed_parity.md", "\n".join(report(runs)))


def export(workspace: Workspace, dataset: str, field: str, folder: Path) -> None:
    """Write a data set in the peers' format, with the numeric inputs of the model of ctrbench.

    Args:
        workspace: The workspace of the data set.
        dataset: The name of the data set.
        field: The item field that both receive.
        folder: The output folder, which is created.
    """
    log = impressions.open_impressions(workspace, dataset)
    slots = HistorySlots(log, LONGEST)
    packer = Packer(slots, ModelSettings(fields=(field,), history_length=LONGEST), {}, {})
    folder.mkdir()
    codes = np.asarray(log.item_fields[field][1:])
    items = {"item_id": np.arange(1, log.item_rows), "category": codes}
    pq.write_table(pa.table(items), folder / "items.parquet")
    for period in ("train", "valid", "test"):
        parts = [_part(log, slots, packer, rows) for rows in chunks(log.rows(period))]
        pq.write_table(pa.concat_tables(parts), folder / f"{period}.parquet")


def _part(log: Impressions, slots: HistorySlots, packer: Packer, part: slice) -> pa.Table:
    rows = np.arange(part.start, part.stop)
    positions, _, lengths = slots.positions(rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    history = pa.ListArray.from_arrays(offsets, log.history_items[positions].astype(np.int64))
    numbers = packer.pack(rows, None).row_numbers.numpy()
    columns = {
        "user_id": log.user_id[rows].astype(np.int64),
        "item_id": log.item_id[rows].astype(np.int64),
        "click": log.click[rows].astype(np.int8),
        "history": history,
    }
    return pa.table(columns | {f"number_{k}": numbers[:, k] for k in range(numbers.shape[1])})


def report(runs: Runs) -> list[str]:
    """Return a table with one row per data set and metric."""
    lines = [
        "The same impressions, inputs, sizes and optimiser, one epoch; mean ± standard deviation "
        "over seeds. Difference: ctrbench minus FuxiCTR with its 90 % interval (Welch); "
        f"equivalent: within ±{MARGIN}, by two one-sided tests. Made by "
        "`benchmarks/speed/parity.py`; do not edit.",
        "",
        "| data set | metric | seeds | ctrbench | FuxiCTR | difference | p | equivalent |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for dataset, sides in runs.items():
        if any(len(sides[side]) < 2 for side in SIDES):
            continue  # a test requires more seeds
        for metric in METRICS:
            ours, theirs = ([one[metric] for one in sides[side].values()] for side in SIDES)
            lines.append(markdown_row([dataset, metric.upper(), *_judged(ours, theirs)]))
    return lines


def _judged(ours: list[float], theirs: list[float]) -> list[str]:
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.9)
    sides = ((MARGIN, "greater"), (-MARGIN, "less"))
    p: Any = max(
        stats.ttest_ind(
            [value + shift for value in ours], theirs, equal_var=False, alternative=alternative
        ).pvalue
        for shift, alternative in sides
    )
    return [
        f"{len(ours)} and {len(theirs)}",
        *(f"{fmean(values):.5f} ± {stdev(values):.5f}" for values in (ours, theirs)),
        f"{fmean(ours) - fmean(theirs):+.5f} [{interval.low:+.5f}, {interval.high:+.5f}]",
        f"{p:.2g}",
        "yes" if p < 0.05 else "not shown",
    ]


if __name__ == "__main__":
    main()
