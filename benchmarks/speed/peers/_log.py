"""The log as arrays: what every adapter reads, before its library sees any of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LONGEST = 50  # slots of a history; `work.py` makes none that is longer


@dataclass(frozen=True)
class Period:
    """The impressions of one period; history `i` is `items[offsets[i] : offsets[i + 1]]`."""

    user_id: np.ndarray  # (N,)
    item_id: np.ndarray  # (N,) 1 and up
    click: np.ndarray  # (N,) 0 or 1
    items: np.ndarray  # (M,) all histories, one after the other
    offsets: np.ndarray  # (N + 1,)
    numbers: dict[str, np.ndarray]  # (N,) each: further inputs, where the log has any

    def padded(self, values: np.ndarray) -> np.ndarray:
        """(N, LONGEST): one value per history item, zeros behind the last.

        Args:
            values: (M,) in the order of `items`.
        """
        length = np.diff(self.offsets)
        found = np.zeros((len(length), LONGEST), np.int32)
        found[np.arange(LONGEST) < length[:, None]] = values
        return found


def read_period(log: Path, period: str, rows: int | None = None) -> Period:
    """Read `train`, `valid` or `test`; of `rows` only the first ones."""
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
    """The columns of numbers: those called `number_...`."""
    names = pq.read_schema(log / "train.parquet").names
    return [name for name in names if name.startswith("number_")]


def read_categories(log: Path) -> np.ndarray:
    """(V,): 1 + the category of an item, at the place of its id; 0 is padding."""
    table = pq.read_table(log / "items.parquet")
    item_id = table["item_id"].to_numpy()
    found = np.zeros(item_id.max() + 1, np.int32)
    found[item_id] = 1 + table["category"].to_numpy()
    return found
