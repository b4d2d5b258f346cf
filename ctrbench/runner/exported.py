"""Stored predictions and per-user results of a matrix as Parquet, for other tools."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrbench import impressions
from ctrbench.analysis.comparison import arm_label
from ctrbench.atomic import atomic_folder
from ctrbench.errors import ConfigError, DataError
from ctrbench.injection import BASELINE
from ctrbench.metrics import Scored
from ctrbench.metrics.log_loss import SMALLEST_P
from ctrbench.plan import Matrix, Row
from ctrbench.printable import counted
from ctrbench.runner.measure import WHOLE
from ctrbench.schema import Cell, Impressions
from ctrbench.store import Store
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

IMPRESSIONS, USERS, README = "impressions.parquet", "users.parquet", "README.md"
COLUMNS = {
    IMPRESSIONS: {
        "cell": "hash of the cell, as in `results/`",
        "arm": "name of the arm: the baseline, VERSION / MODE, or imported predictions",
        "seed": "seed of the cell",
        "impression_id": "row of the impression in the data set, as in `datasets export`",
        "user_id": "raw id of the user",
        "item_id": "raw id of the item shown",
        "timestamp": "time of the impression, in the unit of the log",
        "group_id": "evaluation group: GAUC compares the impressions of one group",
        "weight": "sample weight of the impression",
        "click": "outcome, 0 or 1",
        "p_click": "predicted click probability; the rank in (0, 1) for imported scores",
    },
    USERS: {
        "cell": "hash of the cell",
        "arm": "name of the arm",
        "seed": "seed of the cell",
        "user_id": "raw id of the user",
        "impressions": "test impressions of the user",
        "clicks": "clicked ones",
        "p_click": "mean prediction, weighted by sample weights",
        "log_loss": "mean log loss in nats, weighted by sample weights; null for imported scores",
        "auc": "weighted mean AUC of the user's evaluation groups; null if none has both classes",
        "auc_weight": "weight of `auc`: the weighted mean over users is the GAUC of the cell",
    },
}


@dataclass(frozen=True)
class ExportedPredictions:
    """What was written."""

    folder: Path
    cells: int
    impressions: int  # of the test period
    users: int
    missing: tuple[str, ...]  # cells of the matrix without stored predictions, by label


def export_predictions(workspace: Workspace, matrix: Matrix, folder: Path) -> ExportedPredictions:
    """Write the predictions of the test period, and the results of each user, of stored cells.

    Args:
        workspace: The workspace of the data set.
        matrix: The checked matrix.
        folder: The folder to create.

    Raises:
        ConfigError: The folder exists.
        DamagedError: Predictions are damaged, or belong to other impressions.
        DataError: No predictions of the matrix are stored.
        StoreError: The folder cannot be written.
        UnknownNameError: The data set is not in the workspace.
    """
    if folder.exists():
        raise ConfigError(f"{folder} exists; name a folder that does not exist.")
    name = matrix.dataset.name
    log = impressions.open_impressions(workspace, name, matrix.dataset.outcome)
    rows = log.rows(WHOLE)
    store, raw = Store(workspace), _RawIds.of(workspace, log)
    cells, missing = 0, list[str]()
    with atomic_folder(folder) as temporary, _Writers(temporary) as writers:
        for arm, cell in _cells(matrix):
            p_click = store.predictions(cell, WHOLE, rows.stop - rows.start)
            if p_click is None:
                missing.append(cell.label)
                continue
            cells += 1
            writers.write(IMPRESSIONS, _named(cell, arm, _of_impressions(log, raw, p_click)))
            writers.write(USERS, _named(cell, arm, _of_users(log, raw, p_click, cell.scores)))
        if not cells:
            raise DataError(
                f"no predictions of {counted(len(missing), 'cell')} are stored in "
                f"{workspace.results}; run `ctrbench run FILE` first."
            )
        (temporary / README).write_text(_readme(matrix, writers.columns), encoding="utf-8")
    users = len(np.unique(log.user_id[rows]))
    return ExportedPredictions(folder, cells, rows.stop - rows.start, users, tuple(missing))


def _cells(matrix: Matrix) -> Iterator[tuple[str, Cell]]:
    """Yield each cell of the table with the name of its arm, the baselines first."""
    seeds = matrix.file.seeds
    for trained, column in {column.trained: column for column in matrix.columns}.items():
        for seed in seeds:
            yield f"{BASELINE} {trained}".rstrip(), matrix.cell(None, column, seed)
    for row, column in matrix.places():
        for seed in seeds:
            yield arm_label(row, column), matrix.cell(row, column, seed)
    for model in matrix.imported:
        for cell in model.cells:
            yield Row(model.name, imported=True).label, cell


@dataclass(frozen=True)
class _RawIds:
    """Raw ids by number; entry 0 is missing."""

    users: pa.Array
    items: pa.Array

    @classmethod
    def of(cls, workspace: Workspace, log: Impressions) -> _RawIds:
        import pyarrow as pa

        name = log.manifest.name
        lists = impressions.raw_user_ids(workspace, name), impressions.raw_item_ids(workspace, name)
        return cls(*(pa.array([None, *ids], pa.string()) for ids in lists))


def _of_impressions(log: Impressions, raw: _RawIds, p_click: np.ndarray) -> dict[str, Any]:
    import pyarrow as pa

    rows = log.rows(WHOLE)
    optional = {"timestamp": log.timestamp, "group_id": log.group, "weight": log.weight}
    return {
        "impression_id": np.arange(rows.start, rows.stop),
        "user_id": raw.users.take(pa.array(log.user_id[rows])),
        "item_id": raw.items.take(pa.array(log.item_id[rows])),
        **{name: values[rows] for name, values in optional.items() if values is not None},
        "click": log.click[rows],
        "p_click": p_click,
    }


def _of_users(log: Impressions, raw: _RawIds, p_click: np.ndarray, scores: bool) -> dict[str, Any]:
    """Return the results of each user, ascending by number; `scores`: p_click are ranks."""
    import pyarrow as pa

    rows = log.rows(WHOLE)
    weight = None if log.weight is None else log.weight[rows]
    groups = None if log.group is None else log.group[rows]
    scored = Scored.of(log.click[rows], p_click, log.user_id[rows], weight, groups)
    ids, user, users = np.unique(scored.user_id), scored.user, scored.users
    clipped = np.clip(p_click.astype(np.float64), SMALLEST_P, 1 - SMALLEST_P)
    loss = -np.log(np.where(scored.click, clipped, 1 - clipped))
    total = np.bincount(user, scored.weights, users)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(user, scored.weights * values, users) / total

    grouped = scored.grouped
    share = np.where(grouped.evaluable, grouped.weight, 0.0)  # (G,)
    area = np.bincount(scored.owner, share * np.nan_to_num(grouped.auc), users)
    carried = np.bincount(scored.owner, share, users)
    with np.errstate(invalid="ignore"):  # 0 / 0: no group has both classes
        auc = area / carried
    return {
        "user_id": raw.users.take(pa.array(ids)),
        "impressions": np.bincount(user, minlength=users),
        "clicks": np.bincount(user, scored.click, users).astype(np.int64),
        "p_click": mean(p_click),
        "log_loss": pa.nulls(users, pa.float64()) if scores else mean(loss),
        "auc": pa.array(auc, from_pandas=True),  # NaN becomes null
        "auc_weight": carried,
    }


def _named(cell: Cell, arm: str, columns: dict[str, Any]) -> pa.Table:
    """Return a table of one cell, whose first columns name it."""
    import pyarrow as pa

    count = len(columns["user_id"])
    names = {"cell": pa.scalar(cell.hash), "arm": pa.scalar(arm), "seed": pa.scalar(cell.seed)}
    return pa.table({**{key: pa.repeat(one, count) for key, one in names.items()}, **columns})


class _Writers:
    """The open Parquet files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._open = folder, dict[str, Any]()
        self.columns: dict[str, list[str]] = {}

    def __enter__(self) -> _Writers:
        return self

    def __exit__(self, *error: object) -> None:
        for writer in self._open.values():
            writer.close()

    def write(self, name: str, table: pa.Table) -> None:
        import pyarrow.parquet as pq

        if name not in self._open:
            path = self._folder / name
            self._open[name] = pq.ParquetWriter(path, table.schema, compression="zstd")
            self.columns[name] = table.column_names
        self._open[name].write_table(table)


def _readme(matrix: Matrix, columns: dict[str, list[str]]) -> str:
    parts = [
        f"# Predictions of {matrix.dataset.name}",
        f"Label: {matrix.dataset.label}. Period: test. Content hash of the data set: "
        f"{matrix.dataset.content_hash}.",
    ]
    contents = {IMPRESSIONS: "test impression", USERS: "test user"}
    for name, unit in contents.items():
        lines = [f"| `{column}` | {COLUMNS[name][column]} |" for column in columns[name]]
        table = "\n".join(["| column | content |", "|---|---|", *lines])
        parts += [f"`{name}` has one row per cell and {unit}.", table]
    return "\n\n".join(parts) + "\n"
