"""Reads the log as arrays, the input of every adapter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LONGEST = 50  # slots of a history, the maximum of `work.py`


@dataclass(frozen=True)
class Period:
    """The impressions of one period; history `i` is `items[offsets[i] : offsets[i + 1]]`."""

    user_id: np.ndarray  # (N,)
    item_id: np.ndarray  # (N,) from 1
    click: np.ndarray  # (N,) 0 or 1
    items: np.ndarray  # (M,) all histories, concatenated
    offsets: np.ndarray  # (N + 1,)
    numbers: dict[str, np.ndarray]  # (N,) each, numeric inputs

    def padded(self, values: np.ndarray) -> np.ndarray:
        """Return (N, LONGEST) int32, one value per history item, padded with zeros at the end.

        Args:
            values: (M,) int, in the order of `items`.
        """
        length = np.diff(self.offsets)
        found = np.zeros((len(length), LONGEST), np.int32)
        found[np.arange(LONGEST) < length[:, None]] = values
        return found


def read_period(log: Path, period: str, rows: int | None = None) -> Period:
    """Read a period.

    Args:
        log: The folder of the log.
        period: `train`, `valid` or `test`.
        rows: Read only the first `rows` impressions; None for all.
    """
    table = pq.read_table(log / f"{period}.parquet").slice(0, rows).combine_chunks()
    history = table["history"].combine_chunks()
    offsets = history.offsets.to_numpy()
    return Period(
        user_id=table["user_id"].to_numpy(),
        item_id=table["item_id"].to_numpy(),
        click=table["click"].to_numpy(),
        items=pa.ListArray.flatten(history).to_numpy(),
        offsets=offsets - offsets[0],
        numbers={name: table[name].to_numpy() for name in number_names(log)},
    )


def number_names(log: Path) -> list[str]:
    """Return the names of the numeric columns, `number_...`."""
    names = pq.read_schema(log / "train.parquet").names
    return [name for name in names if name.startswith("number_")]


def read_categories(log: Path) -> np.ndarray:
    """Return (V,) int32, 1 + the category by item id; 0 is padding."""
    table = pq.read_table(log / "items.parquet")
    item_id = table["item_id"].to_numpy()
    found = np.zeros(item_id.max() + 1, np.int32)
    found[item_id] = 1 + table["category"].to_numpy()
    return found
