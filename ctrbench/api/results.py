"""Stored cells as one tidy table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ctrbench.analysis.table import ComparisonTable
from ctrbench.api.inputs import Home, described, opened
from ctrbench.api.matrices import Matrix, records
from ctrbench.errors import ConfigError
from ctrbench.reports import long_table
from ctrbench.schema import CellRecord, Metrics
from ctrbench.store import Store

if TYPE_CHECKING:
    import pandas as pd

NONE = "none"  # version of the baseline; control of a version itself
WHOLE = "all"  # slice: every impression of the period
COLUMNS = (
    *("dataset", "label", "version", "control", "mode", "settings", "model", "training"),
    *("seed", "repeat", "status", "reason", "period", "slice", "metric", "value"),
    *("impressions", "clicks", "users", "evaluable_users", "seconds", "finished", "hash"),
)


def results(source: Home | Matrix = ".", *, dataset: str | None = None) -> pd.DataFrame:
    """Return stored cells as a tidy table: one row per cell, period, slice and metric.

    A failed cell is one row without a metric. A metric that is not defined has no value.

    Args:
        source: A workspace, its folder, or a matrix.
        dataset: Only cells of this data set.

    Returns:
        The columns dataset, label, version (`none`: the baseline), control (`none`: no control),
        mode; settings, model and training (JSON, without defaults); seed, repeat (1: the A/A arm),
        status, reason, period (valid or test), slice, metric, value (a fraction),
        impressions, clicks, users, evaluable_users, seconds (of the cell), finished (UTC), hash.

    Raises:
        ConfigError: The folder does not exist.
        StoreError: A record is damaged.
    """
    import pandas as pd

    found = records(source).values() if isinstance(source, Matrix) else _stored(source, dataset)
    rows = [row for one in found if dataset in (None, one.cell.dataset) for row in _rows(one)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({"value": "float64", "seconds": "float64"}).assign(
        finished=pd.to_datetime(table["finished"], utc=True, format="ISO8601")
    )


def frame(table: ComparisonTable) -> pd.DataFrame:
    """Return a table of deltas as a tidy table: one row per block, row and column.

    Args:
        table: The table of a `Run`, or the result of `ctrbench.tables`.

    Raises:
        ConfigError: It is something else.
    """
    import pandas as pd

    if not isinstance(table, ComparisonTable):
        raise ConfigError(
            f"table is {described(table)}; give the table of a run, or the result of "
            "ctrbench.tables(matrix)."
        )

    return pd.DataFrame(long_table(table)["rows"])


def _stored(source: Home, dataset: str | None) -> Iterator[CellRecord]:
    workspace = opened(source)
    if not workspace.home.is_dir():
        raise ConfigError(f"there is no folder {workspace.home}; give the folder of a workspace.")
    store = Store(workspace)
    for name in store.datasets() if dataset is None else [dataset]:
        yield from store.records(name)


def _rows(record: CellRecord) -> Iterator[tuple[Any, ...]]:
    cell = record.cell
    described = (
        cell.dataset,
        cell.outcome,
        NONE if cell.version is None else cell.version,
        NONE if cell.control is None else str(cell.control),
        cell.mode,
        *(json.dumps(one) for one in (cell.mode_settings, cell.model, cell.training)),
        *(cell.seed, cell.repeat, record.status, record.reason or None),
    )
    ending = (sum(record.seconds.values()), record.finished or None, record.hash)
    measured = [(period, WHOLE, metrics) for period, metrics in record.metrics.items()]
    measured += [("test", key, metrics) for key, metrics in record.slices.items()]
    if not measured:
        yield (*described, *(None,) * 8, *ending)
    for period, slice_, metrics in measured:
        for name, value in metrics.values.items():
            yield (*described, period, slice_, name, value, *_counts(metrics), *ending)


def _counts(metrics: Metrics) -> tuple[int, ...]:
    return (metrics.impressions, metrics.clicks, metrics.users, metrics.evaluable_users)
