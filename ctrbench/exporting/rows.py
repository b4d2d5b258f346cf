"""Impressions as tables with raw ids and values, as a CTR model of ctrbench receives them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrbench import impressions
from ctrbench.batches.slots import HistorySlots
from ctrbench.errors import DataError
from ctrbench.impressions.periods import ranges
from ctrbench.impressions.states import user_statistics
from ctrbench.schema import Field, Impressions, Ragged
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 50_000  # of one table; with histories of 1,000 items, 400 MB
OWN = (
    *("impression_id", "user_id", "item_id", "click", "timestamp", "weight", "group_id"),
    *("history", "log_history_length", "click_rate"),
)


class Rows:
    """The impressions of a data set as tables, period by period."""

    def __init__(self, workspace: Workspace, log: Impressions, history_length: int) -> None:
        """Read the raw ids and the values of fields.

        Args:
            workspace: The workspace of the data set.
            log: The opened data set.
            history_length: Number of latest clicks in a history, at least 1.

        Raises:
            DataError: A field has the name of a column.
        """
        name = log.manifest.name
        self.fields = tuple(field for field in log.manifest.fields if field.kind != "text")
        taken = [field.name for field in self.fields if field.name in OWN]
        if taken:
            raise DataError(f"the field {taken[0]} of {name} has the name of an exported column.")
        self._log = log
        self._slots = HistorySlots(log, history_length)
        self._users = _with_missing(impressions.raw_user_ids(workspace, name))
        self._items = _with_missing(impressions.raw_item_ids(workspace, name))
        self._values = {
            field.name: _with_missing(impressions.vocabulary(workspace, name, field.name))
            for field in self.fields
            if field.size
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        log = self._log
        optional = {"timestamp": log.timestamp, "weight": log.weight, "group_id": log.group}
        absent = {name for name, values in optional.items() if values is None}
        return (*(name for name in OWN if name not in absent), *(one.name for one in self.fields))

    def tables(self, period: str) -> Iterator[pa.Table]:
        """Yield the impressions of a period in stored order, at most `ROWS` at a time."""
        whole = self._log.rows(period)
        for start in range(whole.start, whole.stop, ROWS):
            yield self.table(np.arange(start, min(start + ROWS, whole.stop)))

    def table(self, rows: np.ndarray) -> pa.Table:
        """Return some impressions, by their (n,) row numbers."""
        import pyarrow as pa

        log = self._log
        columns: dict[str, Any] = {
            "impression_id": rows,
            "user_id": self._users.take(pa.array(log.user_id[rows])),
            "item_id": self._items.take(pa.array(log.item_id[rows])),
            "click": log.click[rows],
        }
        optional = {"timestamp": log.timestamp, "weight": log.weight, "group_id": log.group}
        columns |= {name: values[rows] for name, values in optional.items() if values is not None}
        columns["history"] = self._histories(rows)
        statistics = user_statistics(log, rows)
        for place, name in enumerate(("log_history_length", "click_rate")):
            columns[name] = pa.array(statistics[:, place], from_pandas=True)  # NaN becomes null
        columns |= {field.name: self._field(field, rows) for field in self.fields}
        return pa.table(columns)

    def _histories(self, rows: np.ndarray) -> pa.Array:
        import pyarrow as pa

        positions, _, lengths = self._slots.positions(rows)
        items = self._items.take(pa.array(self._log.history_items[positions]))
        return _lists(lengths, items)

    def _field(self, field: Field, rows: np.ndarray) -> pa.Array:
        """Return the values of a field for each impression."""
        import pyarrow as pa

        log = self._log
        owners = {
            "user": (log.user_fields, log.user_id),
            "item": (log.item_fields, log.item_id),
        }
        of, index = owners.get(field.of, (log.context_fields, None))
        place = rows if index is None else index[rows]
        column = of[field.name]
        if isinstance(column, Ragged):
            lengths = np.diff(column.offsets)[place]
            codes = ranges(column.offsets[:-1][place], lengths)
            return _lists(lengths, self._values[field.name].take(pa.array(column.values[codes])))
        if field.size:
            return self._values[field.name].take(pa.array(column[place]))
        return pa.array(column[place], from_pandas=True)


def _with_missing(values: list[str]) -> pa.Array:
    """Return values by code; code 0 is missing or unknown."""
    import pyarrow as pa

    return pa.array([None, *values], pa.string())


def _lists(lengths: np.ndarray, values: pa.Array) -> pa.Array:
    import pyarrow as pa

    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)
