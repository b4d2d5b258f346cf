"""Packs: one Parquet file per published matrix, with records and influence values.

A pack below `results/published/` replaces the files of its cells below `results/`, so that tables
can be printed without training. Influence values are rounded to 11 significant bits, relative to
the largest of each array, which preserves four digits of intervals.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctrbench.atomic import atomic_file
from ctrbench.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

FACTS = b"ctrbench"  # metadata key of the data set and versions, as JSON


@dataclass(frozen=True)
class PackedCell:
    """One cell of a pack."""

    hash: str
    record: str  # JSON; empty if the pack has only influence values
    influence: Mapping[str, np.ndarray]  # by slice and metric, (G,) float32 each


def write_pack(path: Path, cells: Iterable[PackedCell], facts: Mapping[str, object]) -> None:
    """Write one pack atomically.

    Args:
        path: The Parquet file.
        cells: The cells of one matrix.
        facts: A JSON value that the cells share, such as the data set's description.

    Raises:
        StoreError: The file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, list] = {"hash": [], "record": [], "keys": [], "scales": [], "lengths": []}
    values = []
    for cell in cells:
        arrays = {key: np.asarray(one, np.float32) for key, one in cell.influence.items()}
        scales = {key: float(np.abs(one).max(initial=0)) or 1.0 for key, one in arrays.items()}
        columns["hash"].append(cell.hash)
        columns["record"].append(cell.record)
        columns["keys"].append(list(arrays))
        columns["scales"].append(list(scales.values()))
        columns["lengths"].append([len(one) for one in arrays.values()])
        halves = [(one / np.float32(scales[key])).astype(np.float16) for key, one in arrays.items()]
        values.append(np.concatenate([np.zeros(0, np.float16), *halves]))
    table = pa.table(
        {
            "hash": columns["hash"],
            "record": columns["record"],
            "keys": pa.array(columns["keys"], pa.list_(pa.string())),
            "scales": pa.array(columns["scales"], pa.list_(pa.float32())),
            "lengths": pa.array(columns["lengths"], pa.list_(pa.int32())),
            "values": pa.array(values, pa.list_(pa.float16())),
        }
    ).replace_schema_metadata({FACTS: json.dumps(facts).encode()})
    with atomic_file(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=9,
            use_dictionary=False,
            column_encoding={"values.list.element": "BYTE_STREAM_SPLIT"},
        )


class Packs:
    """The packs of one folder, which are read at the first access."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tables: list[tuple[Path, pa.Table, dict[str, int]]] | None = None

    def record(self, cell_hash: str) -> tuple[Path, str] | None:
        """Return the file and JSON of a cell's record; None if no pack has it.

        Raises:
            StoreError: A pack is damaged.
        """
        found = self._find(cell_hash)
        if found is None:
            return None
        path, table, row = found
        return path, table["record"][row].as_py()

    def influence(self, cell_hash: str) -> dict[str, np.ndarray]:
        """Return (G,) float32 influence values by slice and metric; empty if no pack has the cell.

        Raises:
            StoreError: A pack is damaged.
        """
        found = self._find(cell_hash)
        if found is None:
            return {}
        _, table, row = found
        keys, scales, lengths = (table[name][row].as_py() for name in ("keys", "scales", "lengths"))
        values = table["values"][row].values.to_numpy(zero_copy_only=False).astype(np.float32)
        parts = np.split(values, np.cumsum(lengths))[: len(keys)]
        return {
            key: part * np.float32(scale)
            for key, part, scale in zip(keys, parts, scales, strict=True)
        }

    def records(self) -> Iterator[tuple[Path, str]]:
        """Yield the file and JSON of every record.

        Raises:
            StoreError: A pack is damaged.
        """
        for path, table, _ in self._opened():
            yield from ((path, record) for record in table["record"].to_pylist() if record)

    def facts(self) -> Iterator[tuple[Path, dict]]:
        """Yield each file with the facts that its cells share.

        Raises:
            StoreError: A pack is damaged.
        """
        for path, table, _ in self._opened():
            yield path, json.loads(table.schema.metadata[FACTS])

    def _find(self, cell_hash: str) -> tuple[Path, pa.Table, int] | None:
        for path, table, rows in self._opened():
            if cell_hash in rows:
                return path, table, rows[cell_hash]
        return None

    def _opened(self) -> list[tuple[Path, pa.Table, dict[str, int]]]:
        if self._tables is None:
            self._tables = [_open(path) for path in sorted(self._folder.glob("*.parquet"))]
        return self._tables


def _open(path: Path) -> tuple[Path, pa.Table, dict[str, int]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        rows = {name: row for row, name in enumerate(table["hash"].to_pylist())}
        json.loads((table.schema.metadata or {})[FACTS])
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise StoreError(
            f"{path} is damaged, or not a file of `ctrbench pack` "
            f"({str(error).splitlines()[0]}). Restore or remove it."
        ) from error
    return path, table, rows
