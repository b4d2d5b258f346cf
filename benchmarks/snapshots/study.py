"""Compares snapshots of the user state, and the user statistics that a model receives.

`python -m benchmarks.snapshots.study --home DIR [--movielens FOLDER]` imports every log with every
snapshot, trains baselines (and `sim_score` where true vectors exist) and writes
results/tables/snapshots.md. README.md describes the measures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml

from benchmarks.shared import markdown_row, trained, write_table
from ctrbench import embeddings, impressions
from ctrbench.datasets.movielens import MovieLens
from ctrbench.embeddings.readers import Source
from ctrbench.importing import Raw, build, database, make_table, parse_snapshot, parse_split
from ctrbench.matrix import read_matrix
from ctrbench.metrics import auc, gauc
from ctrbench.runner.probes import with_noise
from ctrbench.schema import Cell, Impressions
from ctrbench.store import Store
from ctrbench.workspace import Workspace

SNAPSHOTS = ("impression", "session", "day", "period")
STATISTICS = {
    "both": ("history_length", "click_rate"),
    "click rate": ("click_rate",),
    "history length": ("history_length",),
    "none": (),
}
LOGS = ("coins", "taste", "given", "movielens", "movielens-time")
NOISE = 0.2  # standard deviation, in logits
NOISE_DRAWS = 5  # per seed
SEEDS = (0, 1, 2)
DAY_S = 24 * 3600


def coin_flips(seed: int = 0) -> dict[str, np.ndarray]:
    """Return a log of 3,000 users with 100 impressions each; clicks are independent of items."""
    rng = np.random.default_rng(seed)
    users, each, items = 3_000, 100, 500
    user = np.repeat(np.arange(1, users + 1), each)
    rate = rng.beta(1.5, 3.5, users + 1)
    day = rng.integers(0, 28, len(user))
    time = 1_700_000_000 + day * DAY_S + rng.integers(0, 3 * 3600, len(user))
    return {
        "user_id": user,
        "item_id": rng.integers(1, items + 1, len(user)),
        "click": (rng.random(len(user)) < rate[user]).astype(np.int8),
        "timestamp": time,
    }


def visual_taste(seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return a log of 6,000 users who prefer items similar to their taste.

    New items arrive throughout the log.

    Returns:
        The log, and (items, 16) float, the true styles.
    """
    rng = np.random.default_rng(seed)
    users, each, items, width = 6_000, 100, 3_000, 16
    style = rng.normal(size=(items + 1, width))
    style /= np.linalg.norm(style, axis=1, keepdims=True)
    taste = style[rng.integers(1, items + 1, users + 1)]
    birth = np.concatenate([[0], np.sort(rng.uniform(-8, 28, items))]) * DAY_S
    user = rng.permutation(np.repeat(np.arange(1, users + 1), each))
    session = rng.uniform(0, 28 * DAY_S, (users + 1, each // 5))
    time = session[user, rng.integers(0, each // 5, len(user))] + rng.uniform(0, 600, len(user))
    born = np.searchsorted(birth, time)  # the number of items that exist
    popular = rng.random(len(user)) ** 2
    item = np.maximum(1, (born * (1 - popular)).astype(np.int64))
    lenient = rng.normal(0, 0.7, users + 1)
    logit = 4.0 * (taste[user] * style[item]).sum(axis=1) + lenient[user] - 1.2
    log = {
        "user_id": user,
        "item_id": item,
        "click": (rng.random(len(user)) < 1 / (1 + np.exp(-logit))).astype(np.int8),
        "timestamp": 1_700_000_000 + time.astype(np.int64),
    }
    return log, style[1:]


def given_histories(log: dict[str, np.ndarray], longest: int = 20) -> dict[str, object]:
    """Return the same log with a column of each user's earlier clicks.

    Args:
        log: The log.
        longest: The maximum length of a history.
    """
    order = np.lexsort((log["item_id"], log["timestamp"]))
    seen: dict[int, list[int]] = {}
    history = []
    for row in order:
        mine = seen.setdefault(int(log["user_id"][row]), [])
        history.append([str(item) for item in mine[-longest:]])
        if log["click"][row]:
            mine.append(int(log["item_id"][row]))
    return {name: values[order] for name, values in log.items()} | {"history": history}


def add(
    workspace: Workspace, name: str, log: dict, snapshot: str, styles: np.ndarray | None
) -> None:
    """Import a log, with its true styles as an embedding version.

    Args:
        workspace: The workspace.
        name: The name of the data set; an existing one is not imported again.
        log: The columns by name.
        snapshot: The snapshot of the user state.
        styles: (items, D) float, the true styles; None for no version.
    """
    if name in impressions.names(workspace):
        return
    text = {"user_id": pa.array(log["user_id"].astype(str))}
    text |= {"item_id": pa.array(log["item_id"].astype(str))}
    with database(workspace) as connection:
        connection.register("given", pa.table({**log, **text}))
        rows = make_table(connection, "impressions", "FROM given")
        split = parse_split("time:20/50/10/20")
        raw = Raw(rows, "table", "click = 1", split, snapshot=parse_snapshot(snapshot))
        build(workspace, name, raw)
    if styles is not None:
        file = workspace.home / "styles.npz"
        np.savez(file, key=np.arange(1, len(styles) + 1), value=styles.astype(np.float32))
        ids = impressions.raw_item_ids(workspace, name)
        opened = impressions.open_impressions(workspace, name)
        embeddings.add_version(workspace, opened, ids, "oracle", Source(file))


def add_movielens(workspace: Workspace, name: str, source: Path, split: str, snapshot: str) -> None:
    """Import MovieLens.

    Args:
        workspace: The workspace.
        name: The name of the data set; an existing one is not imported again.
        source: The folder of the release.
        split: The split, such as `time:20/50/10/20`.
        snapshot: The snapshot of the user state.
    """
    if name in impressions.names(workspace):
        return
    with database(workspace) as connection:
        raw = MovieLens(source).read(connection, parse_split(split), lambda what: None)
        build(workspace, name, replace(raw, snapshot=parse_snapshot(snapshot)))


def trained_cells(
    workspace: Workspace, name: str, statistics: str, jobs: int, oracle: bool
) -> list[list[Cell]]:
    """Train the baseline, and `sim_score` on true and on shuffled vectors.

    Args:
        workspace: The workspace.
        name: The data set.
        statistics: A key of `STATISTICS`.
        jobs: The number of cells to train at once.
        oracle: Whether `sim_score` is trained where true vectors exist.

    Returns:
        The cells of each arm by seed, the baseline first.
    """
    file = workspace.home / "study.yaml"
    versions = embeddings.names(workspace, name)
    content = {
        "dataset": name,
        "versions": versions or ["none"],
        "modes": {"sim_score": {"learning_rate_factor": 3.0}},
        "seeds": list(SEEDS),
        "controls": [{"kind": "shuffled"}],
        "model": {"user_statistics": list(STATISTICS[statistics])},
        "training": {"batch_size": 512, "learning_rate": 2e-3},
        "repeat_baseline": False,
    }
    if not versions:
        add_blank(workspace, name)
        content["versions"] = ["blank"]
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    matrix = read_matrix(file, workspace)
    arms = [(None, None)]
    if oracle and versions:
        arms += [(row, matrix.columns[0]) for row in matrix.rows]
    cells = [[matrix.cell(row, column, seed) for seed in SEEDS] for row, column in arms]
    flat = [cell for arm in cells for cell in arm]
    trained(workspace, flat, f"{name}, {statistics}", jobs)
    return cells


def add_blank(workspace: Workspace, name: str) -> None:
    """Add a version of random vectors; the file requires a version, but no trained cell uses it.

    Args:
        workspace: The workspace.
        name: The data set.
    """
    if "blank" in embeddings.names(workspace, name):
        return
    ids = impressions.raw_item_ids(workspace, name)
    file = workspace.home / "blank.npz"
    rng = np.random.default_rng(0)
    np.savez(file, key=np.array(ids), value=rng.normal(size=(len(ids), 4)).astype(np.float32))
    log = impressions.open_impressions(workspace, name)
    embeddings.add_version(workspace, log, ids, "blank", Source(file))


def measures(workspace: Workspace, cells: list[list[Cell]], log: Impressions) -> dict[str, float]:
    """Return means over seeds, in per cent or percentage points.

    Args:
        workspace: The workspace.
        cells: The cells of each arm by seed, the baseline first.
        log: The opened data set.
    """
    store, rows = Store(workspace), log.rows("test")
    click, group = np.asarray(log.click[rows]), np.asarray(log.group_id[rows])
    unseen = np.bincount(log.item_id[log.rows("train")], minlength=log.item_rows) == 0
    cold = unseen[log.item_id[rows]]

    draws = iter(range(10**6))

    def mean(of: Callable[[np.ndarray], float], arm: list[Cell]) -> float:
        return 100 * float(np.mean([of(store.predictions(cell, "test")) for cell in arm]))

    def noisy(p: np.ndarray) -> np.ndarray:
        return with_noise(p, NOISE, next(draws))

    def on(mask: np.ndarray) -> Callable[[np.ndarray], float]:
        return lambda p: gauc(click[mask], p[mask], group[mask])

    whole = np.ones(len(click), bool)
    baseline = cells[0]
    found = {
        "auc": mean(lambda p: auc(click, p), baseline),
        "gauc": mean(on(whole), baseline),
    }
    many = baseline * NOISE_DRAWS
    found["noise"] = mean(lambda p: on(whole)(noisy(p)), many) - found["gauc"]
    if cold.any():
        found["gauc_unseen"] = mean(on(cold), baseline)
        found["noise_unseen"] = mean(lambda p: on(cold)(noisy(p)), many) - found["gauc_unseen"]
    for name, arm in zip(("oracle", "shuffled"), cells[1:], strict=False):
        found[name] = mean(on(whole), arm) - found["gauc"]
    return found


def main() -> None:
    """Import the logs, train the cells, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder for data and cells")
    parser.add_argument("--movielens", type=Path, help="a release in its official format")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--only", nargs="+", default=list(LOGS), choices=LOGS, help="the logs to use"
    )
    given = parser.parse_args()
    workspace, found = Workspace(given.home), []
    workspace.home.mkdir(parents=True, exist_ok=True)
    for name, snapshot in logs(workspace, given.movielens, given.only):
        data = f"{name}-{snapshot}"
        for statistics in STATISTICS:
            oracle = statistics in ("both", "none")
            cells = trained_cells(workspace, data, statistics, given.jobs, oracle)
            log = impressions.open_impressions(workspace, data)
            row = {"log": name, "snapshot": snapshot, "statistics": statistics}
            found.append(row | measures(workspace, cells, log))
            print(json.dumps(found[-1]), flush=True)
    write_table("snapshots.md", "\n".join(table(found)))


def logs(workspace: Workspace, movielens: Path | None, only: list[str]) -> Iterable[tuple]:
    """Import each log with each snapshot and yield their names.

    Args:
        workspace: The workspace.
        movielens: The folder of the release; None skips it.
        only: The logs to import.
    """
    coins, (taste, styles) = coin_flips(), visual_taste()
    makers: dict[str, Callable[[str, str], None]] = {
        "coins": lambda data, snapshot: add(workspace, data, coins, snapshot, None),
        "taste": lambda data, snapshot: add(workspace, data, taste, snapshot, styles),
    }
    if movielens is not None:
        for name, split in (("movielens", "per_user"), ("movielens-time", "time")):
            shares = f"{split}:20/50/10/20"
            makers[name] = lambda data, snapshot, shares=shares: add_movielens(
                workspace, data, movielens, shares, snapshot
            )
    chosen = {name: make for name, make in makers.items() if name in only}
    for name, make in chosen.items():
        for snapshot in SNAPSHOTS:
            make(f"{name}-{snapshot}", snapshot)
            yield name, snapshot
    if "given" in only:
        log = given_histories(taste)
        for snapshot in ("period", "session"):
            add(workspace, f"given-{snapshot}", log, snapshot, styles)
            yield "given", snapshot


COLUMNS = ("auc", "gauc", "gauc_unseen", "noise", "noise_unseen", "oracle", "shuffled")


def table(found: list[dict]) -> list[str]:
    """Return a table with one row per log, snapshot and choice of statistics."""
    lines = [
        f"Means over {len(SEEDS)} seeds; AUC and GAUC of the baseline in per cent, all other "
        f"values in percentage points of GAUC. Noise: change by Gaussian noise of deviation "
        f"{NOISE:g} on the baseline's logits (above zero: the metric is biased). Unseen: on items "
        "without training impressions. Oracle, shuffled: gain of `sim_score` with true styles and "
        "with shuffled styles. Made by `benchmarks/snapshots/study.py`; do not edit.",
        "",
        "| log | snapshot | statistics | AUC | GAUC | GAUC unseen | noise | noise unseen | oracle "
        "| shuffled |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in found:
        places = [
            f"{row[name]:{'.2f' if 'auc' in name else '+.2f'}}" if name in row else "–"
            for name in COLUMNS
        ]
        lines.append(markdown_row([row["log"], row["snapshot"], row["statistics"], *places]))
    return lines


if __name__ == "__main__":
    main()
