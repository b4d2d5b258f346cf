"""Predictions of any model, from files: one row per impression, in the same order in both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from ctrbench.errors import ConfigError, DataError, raise_all
from ctrbench.metrics import evaluate
from ctrbench.schema import Metrics
from ctrbench.stats import Inference, compare_predictions

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".parquet", ".csv")
NEEDED = ("user_id", "click", "p_click")
OPTIONAL = ("item_id", "group_id", "weight", "seed")
IDS = ("user_id", "item_id", "group_id")
SHARED = (*IDS, "click", "weight")  # columns in which two files must agree
EXAMPLES = 3  # rows shown of those that differ


@dataclass(frozen=True)
class Predictions:
    """What S seeds of a model predict of N impressions."""

    user_id: np.ndarray  # (N,)
    click: np.ndarray  # (N,)
    p_click: np.ndarray  # (S, N)
    weight: np.ndarray | None  # (N,)
    item_id: np.ndarray | None  # (N,)
    group_id: np.ndarray | None  # (N,) integers, impressions that GAUC compares with each other
    seeds: tuple[int, ...]


def is_file(name: str) -> bool:
    """Whether an arm is named by a file."""
    return name.lower().endswith(ENDINGS)


def compare_files(a: str, b: str, metric: str) -> tuple[Inference, Metrics, float]:
    """Return A against B, the metrics of A's first seed (for their counts), and B's mean metric.

    Raises:
        ConfigError: a file is not there, or lacks a column.
        DataError: the files are not of the same impressions in the same order, or predictions will
            not do.
    """
    one, other = read_predictions(Path(a)), read_predictions(Path(b))
    raise_all(_differences(one, other), DataError, f"{a} and {b} cannot be compared:")
    found = compare_predictions(
        one.click,
        one.user_id,
        one.p_click,
        other.p_click,
        metric,
        one.weight,
        group_id=one.group_id,
        item_id=one.item_id,
    )
    counts, *others = (
        evaluate(one.click, p_click, one.user_id, one.weight, one.group_id)
        for p_click in (one.p_click[0], *other.p_click)
    )
    return found, counts, fmean(getattr(metrics, metric) for metrics in others)


def read_predictions(path: Path) -> Predictions:
    """Read columns `user_id`, `click`, `p_click`, and optionally those of `OPTIONAL`.

    Raises:
        ConfigError: no such file, or a column is missing.
        DataError: the seeds are not of the same impressions.
    """
    import pandas as pd

    if not path.is_file():
        raise ConfigError(f"there is no file {path}.")
    try:
        table = pd.read_csv(path) if path.suffix.lower() == ".csv" else pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path} cannot be read: {str(error).splitlines()[0]}.") from error
    missing = [name for name in NEEDED if name not in table]
    if missing:
        raise ConfigError(
            f"{path} lacks the column(s) {', '.join(missing)}; it has {', '.join(table.columns)}. "
            f"A file of predictions has {', '.join(NEEDED)}, and optionally {', '.join(OPTIONAL)}."
        )
    if table.empty:
        raise DataError(f"{path} holds no row.")
    raise_all(_unfit(table), DataError, f"{path} cannot be used:")
    parts = {0: table}
    if "seed" in table:
        parts = {int(seed): part for seed, part in table.groupby("seed", sort=True)}  # pyright: ignore
    first = next(iter(parts.values()))
    columns = [name for name in SHARED if name in table]
    for seed, part in parts.items():
        same = len(part) == len(first) and all(
            (part[name].to_numpy() == first[name].to_numpy()).all() for name in columns
        )
        if not same:
            raise DataError(f"{path}: seed {seed} is not of the same impressions as the first.")
    return Predictions(
        user_id=first["user_id"].to_numpy(),
        click=first["click"].to_numpy(),
        p_click=np.stack([part["p_click"].to_numpy(np.float64) for part in parts.values()]),
        weight=first["weight"].to_numpy(np.float64) if "weight" in first else None,
        item_id=first["item_id"].to_numpy() if "item_id" in first else None,
        group_id=first["group_id"].factorize()[0] if "group_id" in first else None,
        seeds=tuple(parts),
    )


def _unfit(table: pd.DataFrame) -> list[str]:
    """What is wrong with single columns, a phrase each."""
    import pandas as pd

    found = []
    for name in (*NEEDED, *OPTIONAL):
        if name not in table:
            continue
        column = table[name]
        missing = np.flatnonzero(column.isna())
        if len(missing):
            found.append(f"{name} is missing in {len(missing)} rows (row {missing[0]})")
        elif name not in IDS and not pd.api.types.is_numeric_dtype(column):
            found.append(
                f"{name} must be numbers; it is {column.dtype} (row 0: {column.iloc[0]!r})"
            )
        elif name == "seed" and np.any(column.to_numpy() % 1):
            found.append("seed must be whole numbers")
    return found


def _differences(one: Predictions, other: Predictions) -> list[str]:
    """What keeps two files from being of the same impressions, a phrase each."""
    if len(one.click) != len(other.click):
        return [f"they hold {len(one.click)} and {len(other.click)} impressions"]
    found = []
    for name in SHARED:
        ours, theirs = getattr(one, name), getattr(other, name)
        if (ours is None) != (theirs is None):
            found.append(f"only one of them has the column {name}")
        elif ours is not None and (rows := np.flatnonzero(ours != theirs)).size:
            shown = ", ".join(
                f"row {row}: {ours[row]} and {theirs[row]}" for row in rows[:EXAMPLES]
            )
            sorted_alike = np.array_equal(np.sort(ours), np.sort(theirs))
            order = "; sort both alike" if sorted_alike and name == "user_id" else ""
            found.append(f"{name} differs in {rows.size} rows ({shown}){order}")
    if one.seeds != other.seeds:
        found.append(f"their seeds are {list(one.seeds)} and {list(other.seeds)}")
    return found
