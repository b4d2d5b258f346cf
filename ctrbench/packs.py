"""Packs: one Parquet file per published matrix, with records and influence values.

A pack below `results/published/` replaces the files of its cells below `results/`, so that tables
can be printed without training. The file has one row per record, and one row per measure and cell.
Influence values are rounded to 11 significant bits, relative to the largest of each array, which
preserves four digits of intervals; packing them again is exact. The rows of one measure are
adjacent, and all high bytes precede all low bytes, which compresses best.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctrbench.atomic import atomic_file
from ctrbench.errors import StoreError, first_line

if TYPE_CHECKING:
    import pyarrow as pa

FACTS = b"ctrbench"  # metadata key of the data set and versions, as JSON
PAGE_BYTES = 1 << 29  # all values are in one page, in which equal arrays are compressed to one


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

    cells = list(cells)
    rows = [_Row(cell.hash, record=cell.record) for cell in cells]
    for key in dict.fromkeys(key for cell in cells for key in cell.influence):
        rows += [_measure(c.hash, key, c.influence[key]) for c in cells if key in c.influence]
    columns = {field.name: [getattr(row, field.name) for row in rows] for field in _schema()}
    table = pa.table(columns, schema=_schema()).replace_schema_metadata(
        {FACTS: json.dumps(facts).encode()}
    )
    with atomic_file(path) as temporary:
        pq.write_table(
            table,
            temporary,
            row_group_size=len(rows),
            data_page_size=PAGE_BYTES,
            compression="zstd",
            compression_level=19,
            use_dictionary=False,
            column_encoding={"values.list.element": "BYTE_STREAM_SPLIT"},
        )


def _schema() -> pa.Schema:
    import pyarrow as pa

    texts = [pa.field(name, pa.string()) for name in ("hash", "key", "record")]
    values = pa.field("values", pa.list_(pa.float16()))
    return pa.schema([*texts, pa.field("scale", pa.float32()), values])


@dataclass(frozen=True)
class _Row:
    """One row of the file."""

    hash: str
    key: str = ""  # slice and metric; empty in the row of a record
    record: str = ""
    scale: float = 1.0
    values: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float16))


def _measure(cell_hash: str, key: str, influence: np.ndarray) -> _Row:
    """Return the row of a cell's influence values, divided by the largest."""
    values = np.asarray(influence, np.float32)
    scale = float(np.abs(values).max(initial=0)) or 1.0
    rounded = (values / np.float32(scale)).astype(np.float16)
    return _Row(cell_hash, key, scale=scale, values=rounded)


@dataclass(frozen=True)
class _Pack:
    """The content of one file."""

    path: Path
    facts: dict
    table: pa.Table
    rows: Mapping[str, Mapping[str, int]]  # row number by cell hash and key


class Packs:
    """The packs of one folder, which are read at the first access."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._packs: list[_Pack] | None = None

    def record(self, cell_hash: str) -> tuple[Path, str] | None:
        """Return the file and JSON of a cell's record; None if no pack has it.

        Raises:
            StoreError: A pack is damaged.
        """
        pack = self._find(cell_hash)
        if pack is None:
            return None
        return pack.path, pack.table["record"][pack.rows[cell_hash][""]].as_py()

    def influence(self, cell_hash: str) -> dict[str, np.ndarray]:
        """Return (G,) float32 influence values by slice and metric; empty if no pack has the cell.

        Raises:
            StoreError: A pack is damaged.
        """
        pack = self._find(cell_hash)
        if pack is None:
            return {}
        scales, values = pack.table["scale"], pack.table["values"]
        return {
            key: values[row].values.to_numpy(zero_copy_only=False).astype(np.float32)
            * np.float32(scales[row].as_py())
            for key, row in pack.rows[cell_hash].items()
            if key
        }

    def records(self) -> Iterator[tuple[Path, str]]:
        """Yield the file and JSON of every record.

        Raises:
            StoreError: A pack is damaged.
        """
        for pack in self._opened():
            yield from ((pack.path, text) for text in pack.table["record"].to_pylist() if text)

    def facts(self) -> Iterator[tuple[Path, dict]]:
        """Yield each file with the facts that its cells share.

        Raises:
            StoreError: A pack is damaged.
        """
        for pack in self._opened():
            yield pack.path, pack.facts

    def _find(self, cell_hash: str) -> _Pack | None:
        return next((pack for pack in self._opened() if cell_hash in pack.rows), None)

    def _opened(self) -> list[_Pack]:
        if self._packs is None:
            self._packs = [_open(path) for path in sorted(self._folder.glob("*.parquet"))]
        return self._packs


def _open(path: Path) -> _Pack:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:  # `read_table` hangs on some damaged files
            table = file.read()
        if not table.schema.equals(_schema()):
            raise ValueError(f"it has the columns {', '.join(table.column_names)}")
        rows: dict[str, dict[str, int]] = {}
        names = zip(table["hash"].to_pylist(), table["key"].to_pylist(), strict=True)
        for row, (cell_hash, key) in enumerate(names):
            rows.setdefault(cell_hash, {})[key] = row
        if any(one.null_count for one in table.columns) or not all(
            "" in one for one in rows.values()
        ):
            raise ValueError("values are missing")
        facts = json.loads((table.schema.metadata or {})[FACTS])
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise StoreError(
            f"{path} is damaged, or not a file of this version of `ctrbench pack` "
            f"({first_line(error)}). Restore or remove it."
        ) from error
    return _Pack(path, facts, table, rows)
