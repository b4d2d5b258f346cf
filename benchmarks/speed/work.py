"""Makes the log on which every library is timed.

`python -m benchmarks.speed.work --home DIR` imports it as the data set `work`.

Users have one of a few tastes and see items of 100 categories. Histories and clicks depend on the
taste, so that a model can learn. Item vectors contain the same signal.
"""

from __future__ import annotations

import argparse
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.shared import ctrbench

PERIODS = ("train", "valid", "test")
TASTES, FACTORS, CATEGORIES = 400, 8, 100
MEASURED = 0.05  # impressions of valid, and of test, per training impression


@dataclass(frozen=True)
class Work:
    """The size of the log."""

    impressions: int = 1_000_000  # of train
    items: int = 20_000
    users: int = 50_000
    history: float = 20.0  # mean length
    longest: int = 50
    width: int = 128  # of the vectors
    seed: int = 0


def make_log(work: Work, folder: Path) -> None:
    """Write `{train,valid,test}.parquet` (with a list `history`), items.parquet, vectors.npz.

    Args:
        work: The size of the log.
        folder: The output folder, which is created.
    """
    rng = np.random.default_rng(work.seed)
    folder.mkdir(parents=True, exist_ok=True)
    tastes = rng.normal(size=(TASTES, FACTORS))
    items = rng.normal(size=(work.items, FACTORS))
    quality = rng.normal(0, 0.5, work.items)
    popularity = rng.pareto(1.5, work.items) + 1
    category = np.argmax(items @ rng.normal(size=(FACTORS, CATEGORIES)), axis=1)
    affinity = tastes @ items.T / np.sqrt(FACTORS)  # (TASTES, items)
    liked = popularity * np.exp(1.5 * affinity)
    cumulative = np.cumsum(liked / liked.sum(axis=1, keepdims=True), axis=1)
    taste_of = rng.integers(TASTES, size=work.users)
    measured = int(MEASURED * work.impressions)
    for period, rows in zip(PERIODS, (work.impressions, measured, measured), strict=True):
        user = rng.integers(work.users, size=rows)
        taste = taste_of[user]
        item = np.where(
            rng.random(rows) < 0.5,
            _drawn(cumulative, taste, rng),
            rng.choice(work.items, rows, p=popularity / popularity.sum()),
        )
        logit = 1.2 * affinity[taste, item] + quality[item] - 1.5
        click = rng.random(rows) < 1 / (1 + np.exp(-logit))
        share = work.history / work.longest
        length = np.rint(work.longest * rng.beta(3 * share, 3 * (1 - share), rows)).astype(int)
        offsets = np.concatenate([[0], np.cumsum(length)])
        history = _drawn(cumulative, np.repeat(taste, length), rng)
        table = {
            "user_id": user,
            "item_id": item + 1,  # libraries reserve 0 for padding
            "click": click.astype(np.int8),
            "history": pa.ListArray.from_arrays(offsets.astype(np.int32), pa.array(history + 1)),
        }
        pq.write_table(pa.table(table), folder / f"{period}.parquet")
    ids = np.arange(1, work.items + 1)
    pd.DataFrame({"item_id": ids, "category": category}).to_parquet(folder / "items.parquet")
    vectors = items @ rng.normal(size=(FACTORS, work.width)) + rng.normal(
        size=(work.items, work.width)
    )
    np.savez(folder / "vectors.npz", key=ids, value=vectors.astype(np.float32))


def _drawn(cumulative: np.ndarray, taste: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one item per taste from its cumulative distribution."""
    found = np.empty(len(taste), np.int64)
    order = np.argsort(taste, kind="stable")
    bounds = np.searchsorted(taste[order], np.arange(len(cumulative) + 1))
    for one in range(len(cumulative)):
        rows = order[bounds[one] : bounds[one + 1]]
        drawn = np.searchsorted(cumulative[one], rng.random(len(rows)))
        found[rows] = np.minimum(drawn, cumulative.shape[1] - 1)
    return found


def import_log(work: Work, home: Path, name: str) -> None:
    """Make the log below `home` and import it, with its vectors as version `v1`.

    Args:
        work: The size of the log.
        home: The workspace.
        name: The name of the data set.
    """
    folder = home / f"{name}.log"
    make_log(work, folder)
    subprocess.run(import_command(folder, home, name), check=True)
    vectors = ["--dataset", name, "--vectors", folder / "vectors.npz"]
    subprocess.run(ctrbench(home, "embeddings", "add", "v1", *vectors), check=True)


def import_command(log: Path, home: Path, name: str) -> list[str]:
    """Return the command that imports a log of `make_log`.

    Args:
        log: The folder of the log.
        home: The workspace.
        name: The name of the data set.
    """
    command = ctrbench(home, "datasets", "import", "table")
    for period in PERIODS:
        command += ["--impressions", f"{period}={log / period}.parquet"]
    items = ["--items", str(log / "items.parquet"), "--label", "click"]
    return [*command, *items, "--name", name, "--split", "given"]


def main() -> None:
    """Make and import a log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="a workspace")
    parser.add_argument("--name", default="work")
    parser.add_argument("--items", type=int, default=Work.items)
    parser.add_argument("--impressions", type=int, default=Work.impressions)
    given = parser.parse_args()
    given.home.mkdir(parents=True, exist_ok=True)
    import_log(Work(given.impressions, given.items), given.home, given.name)


if __name__ == "__main__":
    main()
