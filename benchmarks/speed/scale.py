"""Cost of every stage of a matrix by the size of the log, and its extrapolation.

`python -m benchmarks.speed.scale measure --home DIR --impressions 1000000` makes a log with one
user and one item per 100 impressions, and measures its import, the addition of vectors, three cells
and the table. `predict --impressions N` extrapolates each stage by a straight line through the two
smallest sizes; predictions are stored before a run of that size. `show` writes
results/tables/speed_scale.md. Requires Linux (/proc).
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.shared import TABLES, ctrbench, write_table
from benchmarks.speed.watching import machine, watched

FIGURES = TABLES / "speed_scale.json"
PER_ITEM, PER_USER, WIDTH, CTR, PART = 100, 100, 64, 0.1, 4_000_000
GOAL = 10_000_000_000  # impressions
FILE = """\
dataset: log
versions: [v1]
modes:
  sim_score: {{}}
  cluster_id: {{codebook_size: {codes}}}
seeds: [0]
controls: []
repeat_baseline: false
"""


@dataclass(frozen=True)
class Stage:
    """The cost of one stage."""

    stage: str
    impressions: int
    cpu_s: float  # of all threads and processes
    memory_gb: float  # peak of the anonymous memory
    disk_gb: float  # that it adds to the workspace
    kind: str = "measured"  # or predicted


def main() -> None:
    """Measure, predict or show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("measure", "predict", "show"))
    parser.add_argument("--home", type=Path, help="empty folder for the log and the workspace")
    parser.add_argument("--impressions", type=int, default=1_000_000)
    given = parser.parse_args()
    if given.action == "measure":
        for stage in _measured(given.home, given.impressions):
            _add(stage)
    elif given.action == "predict":
        for stage in _predicted(_known(), given.impressions):
            _add(stage)
    else:
        write_table("speed_scale.md", _table(_known()))


def _known() -> list[Stage]:
    if not FIGURES.exists():
        return []
    return [Stage(**one) for one in json.loads(FIGURES.read_text(encoding="utf-8"))]


def _add(stage: Stage) -> None:
    """Store a stage in place of an earlier one of the same size and kind."""
    key = stage.stage, stage.impressions, stage.kind
    others = [one for one in _known() if (one.stage, one.impressions, one.kind) != key]
    text = json.dumps([asdict(one) for one in [*others, stage]], indent=1)
    FIGURES.write_text(text + "\n", encoding="utf-8")
    print(stage, flush=True)


def _measured(home: Path, impressions: int) -> Iterator[Stage]:
    raw, work = home / "raw", home / "workspace"
    _make(raw, impressions)
    before = 0

    def stage(name: str, *words: str) -> Stage:
        nonlocal before
        seen = watched(ctrbench(work, *words))
        disk = sum(file.stat().st_size for file in work.rglob("*") if file.is_file())
        grown, before = disk - before, disk
        cost = round(seen.cpu_seconds, 1), round(seen.anonymous_kb / 1e6, 2), round(grown / 1e9, 3)
        return Stage(name, impressions, *cost)

    log = "--impressions", str(raw / "log"), "--name", "log"
    vectors = "--vectors", str(raw / "vectors.npy"), "--ids", str(raw / "ids.npy")
    yield stage("import", "datasets", "import", "table", *log)
    yield stage("add vectors", "embeddings", "add", "v1", "--dataset", "log", *vectors)
    file = home / "scale.yaml"
    codes = max(2, impressions // PER_ITEM // 100)
    file.write_text(FILE.format(codes=codes), encoding="utf-8")
    listed = watched(ctrbench(work, "cells", str(file), "--missing", "--format", "jsonl"))
    for cell in map(json.loads, listed.printed.splitlines()):
        yield stage(f"cell {cell['mode']}", "run-cell", str(file), cell["hash"])
    yield stage("table", "tables", str(file))
    shutil.rmtree(home)


def _make(folder: Path, impressions: int) -> None:
    """Write a folder `log` of Parquet files in order of time, and vectors with ids."""
    rng = np.random.default_rng(0)
    users, items = impressions // PER_USER, impressions // PER_ITEM
    (folder / "log").mkdir(parents=True)
    for start in range(0, impressions, PART):
        rows = min(PART, impressions - start)
        popular = (items * rng.random(rows) ** 3).astype(np.int64)  # a long tail
        columns = {
            "user_id": rng.integers(0, users, rows),
            "item_id": popular,
            "click": (rng.random(rows) < CTR).astype(np.int8),
            "timestamp": 1_600_000_000 + (np.arange(rows) + start) * 5_000_000 // impressions,
        }
        name = folder / "log" / f"part-{start // PART:05}.parquet"
        pq.write_table(pa.table(columns), name)
    np.save(folder / "vectors.npy", rng.normal(size=(items, WIDTH)).astype(np.float16))
    np.save(folder / "ids.npy", np.arange(items))


def _predicted(known: list[Stage], impressions: int) -> Iterator[Stage]:
    """Extrapolate every stage by a straight line through its two smallest measured sizes."""
    measured = [one for one in known if one.kind == "measured"]
    for name in dict.fromkeys(one.stage for one in measured):
        sizes = [one for one in measured if one.stage == name]
        small, large, *_ = sorted(sizes, key=lambda one: one.impressions)
        yield _on_line(small, large, impressions)


def _on_line(small: Stage, large: Stage, impressions: int) -> Stage:
    """Return a stage on the straight line through two sizes of it."""
    share = (impressions - small.impressions) / (large.impressions - small.impressions)
    costs = (
        round(getattr(small, cost) + share * (getattr(large, cost) - getattr(small, cost)), 3)
        for cost in ("cpu_s", "memory_gb", "disk_gb")
    )
    return Stage(small.stage, impressions, *costs, kind="predicted")


def _table(known: list[Stage]) -> str:
    columns = sorted({(one.impressions, one.kind) for one in known})
    sizes = [size for size, kind in columns if kind == "measured"]
    cells = {(one.stage, one.impressions, one.kind): one for one in known}
    names = list(dict.fromkeys(one.stage for one in known))
    goal = (GOAL, "extrapolated")
    for name in names:
        first, last = (cells[name, size, "measured"] for size in (sizes[0], sizes[-1]))
        cells[name, *goal] = _on_line(first, last, GOAL)
    columns.append(goal)
    lines = [
        "CPU seconds / GB of anonymous memory / GB of disk, by impressions. One user and one item "
        f"per {PER_ITEM} impressions, vectors of width {WIDTH}, click rate {CTR}. Predictions are "
        "on the straight line through the two smallest sizes, and were stored before that size was "
        f"measured; the extrapolation is on that through the smallest and the largest. "
        f"{machine()}. Made by `benchmarks/speed/scale.py`; do not edit.",
        "",
        f"| stage | {' | '.join(f'{size / 1e6:,.0f} M, {kind}' for size, kind in columns)} |",
        f"|---|{'---:|' * len(columns)}",
    ]
    for name in names:
        found = [cells.get((name, *column)) for column in columns]
        lines.append(f"| {name} | {' | '.join(map(_shown, found))} |")
    return "\n".join(lines)


def _shown(one: Stage | None) -> str:
    """Return the costs of a stage; memory is not extrapolated, because its formula is known."""
    if one is None:
        return ""
    memory = "–" if one.impressions == GOAL else f"{one.memory_gb:,.2f}"
    return f"{one.cpu_s:,.1f} / {memory} / {one.disk_gb:,.3f}"


if __name__ == "__main__":
    main()
