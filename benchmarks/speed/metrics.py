"""Time of AUC, GAUC and the import of a log, compared with scikit-learn.

`python -m benchmarks.speed.metrics` writes results/tables/speed_metrics.md. The loop of
scikit-learn over users is timed on some of the users and extrapolated to all.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks.shared import ctrbench, write_table
from benchmarks.speed.watching import load, machine
from benchmarks.speed.work import Work, import_command, make_log
from ctrbench.metrics import RankedAuc, auc, gauc

REPEATS, USERS, LOOPED = 5, 50_000, 1_000
DAYS, DAY_S = 60, 86_400


def main() -> None:
    """Time the functions and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--imported", type=int, default=10_000_000, help="impressions")
    given = parser.parse_args()
    before, rng = load(), np.random.default_rng(0)
    rows = []
    click, p, user = _log(10_000_000, rng)
    rows.append(("AUC of 10 M impressions", _seconds(lambda: auc(click, p))))
    rows.append(
        ("AUC of 10 M impressions by scikit-learn", _seconds(lambda: roc_auc_score(click, p)))
    )
    ranked, weight = RankedAuc(click, p), rng.integers(0, 3, len(click))
    rows.append(("AUC of a resample of 10 M, sorted before", _seconds(lambda: ranked.auc(weight))))
    click, p, user = _log(1_000_000, rng)
    rows.append((f"GAUC of 1 M over {USERS:,} users", _seconds(lambda: gauc(click, p, user))))
    looped = USERS / LOOPED * _seconds(lambda: _looped(click, p, user), repeats=1)
    rows.append((f"GAUC of 1 M over {USERS:,} users by a loop with scikit-learn", looped))
    seconds = _imported(given.imported, rng)
    name = f"import of {given.imported / 1e6:g} M impressions from Parquet"
    rows.append((name, seconds))
    work = Work()
    name = f"import of {1.1 * work.impressions / 1e6:g} M with histories of {work.history:g} clicks"
    rows.append((name, _imported_with_histories(work)))
    lines = [
        f"Median of {REPEATS}, one process; CTR 10 %; one run per import, as a command. "
        f"{machine()}, load before {before}. Made by `benchmarks/speed/metrics.py`; do not edit.",
        "",
        "| | seconds |",
        "|---|---:|",
        *(f"| {name} | {taken:.2f} |" for name, taken in rows),
        "",
        f"Imported: {given.imported / seconds:,.0f} impressions/s.",
    ]
    write_table("speed_metrics.md", "\n".join(lines))


def _log(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    click = rng.random(rows) < 0.1
    p = (1 / (1 + np.exp(-rng.normal(size=rows) - click))).astype(np.float32)
    return click, p, rng.integers(0, USERS, rows)


def _seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return median(taken)


def _looped(click: np.ndarray, p: np.ndarray, user: np.ndarray) -> float:
    """Return the GAUC of the first users by a loop with scikit-learn."""
    found, weights = [], []
    for one in range(LOOPED):
        own = user == one
        if 0 < click[own].sum() < own.sum():
            found.append(roc_auc_score(click[own], p[own]))
            weights.append(own.sum())
    return float(np.average(found, weights=weights))


def _imported(rows: int, rng: np.random.Generator) -> float:
    """Return the seconds of `ctrbench datasets import table` for integer ids and timestamps."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.parquet"
        columns = {
            "user_id": rng.integers(0, rows // 50, rows),
            "item_id": (200 * rng.pareto(1.2, rows)).astype(np.int64) % (rows // 100),
            "click": (rng.random(rows) < 0.1).astype(np.int8),
            "timestamp": np.sort(rng.integers(0, DAYS * DAY_S, rows)) + 1_600_000_000,
        }
        pd.DataFrame(columns).to_parquet(log)
        words = ["--impressions", log, "--name", "log", "--label", "click"]
        return _run_seconds(ctrbench(folder, "datasets", "import", "table", *words))


def _imported_with_histories(work: Work) -> float:
    """Return the seconds of the import of a log that contains a history with every impression."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        make_log(work, log)
        return _run_seconds(import_command(log, Path(folder), "log"))


def _run_seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
