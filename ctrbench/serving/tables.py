"""The tables of an exported folder: inputs of items and users, values and codes, as Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ctrbench import impressions
from ctrbench.injection import Injection, Prepared
from ctrbench.serving.features import prefix
from ctrbench.serving.requests import Columns, Lookups
from ctrbench.workspace import Workspace

ITEMS, USERS, VALUES, CODES = (
    "items.parquet",
    "users.parquet",
    "vocabulary.parquet",
    "codes.parquet",
)
GIVEN = "given_code"  # column of codes as they were given
ROWS = 10_000  # of one row group
ID = "id"  # column of raw ids; null: an unknown item or user, whose row holds the defaults


def write_items(path: Path, lookups: Lookups, raw_ids: Sequence[str]) -> None:
    """Write the inputs of every item; the first row is that of an unknown item.

    Args:
        path: The file.
        lookups: The values of every input.
        raw_ids: The raw ids of items 1..V-1.
    """
    _write(path, lookups.items, raw_ids)


def write_users(path: Path, lookups: Lookups, raw_ids: Sequence[str]) -> bool:
    """Write the inputs of every user, and return whether the model has inputs of users.

    Args:
        path: The file.
        lookups: The values of every input.
        raw_ids: The raw ids of users 1..
    """
    if not lookups.users(np.zeros(1, np.int64)):
        return False
    _write(path, lookups.users, raw_ids)
    return True


def write_vocabulary(path: Path, lookups: Lookups, workspace: Workspace) -> bool:
    """Write the code of every value that the model knows; return whether there is any.

    Args:
        path: The file.
        lookups: The values of every input.
        workspace: The workspace of the data set.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    packer = lookups.packer
    manifest = packer.slots.impressions.manifest
    inputs, values, codes = [], [], []
    owners = (
        ("item.", packer.inputs.item),
        ("user.", packer.inputs.user),
        ("context.", packer.inputs.context),
    )
    sized = {field.name for field in manifest.fields if field.size}
    for owner, fields in owners:
        for name, known in fields.known.items():
            texts = (
                impressions.vocabulary(workspace, manifest.name, name)
                if name in sized
                else impressions.raw_user_ids(workspace, manifest.name)  # the input user.user_id
            )
            for code in np.flatnonzero(known.seen != known.unknown).tolist():
                if code:  # 0 is missing
                    inputs.append(owner + name)
                    values.append(texts[code - 1])
                    codes.append(int(known.seen[code]))
    if not inputs:
        return False
    columns = {"input": inputs, "value": pa.array(values, pa.string()), "code": codes}
    pq.write_table(pa.table(columns), path, compression="zstd")
    return True


def write_codes(
    path: Path,
    mode: Injection,
    prepared: Prepared,
    raw_ids: Sequence[str],
    given: Mapping[str | None, np.ndarray],
) -> tuple[str, ...]:
    """Write the codes of all items with a code, and return the names of the columns.

    Args:
        path: The file.
        mode: The mode; every part of a combination that has codes is a column.
        prepared: The arrays that the mode prepared.
        raw_ids: The raw ids of items 1..V-1.
        given: (V, L) codes that were made elsewhere, by vector field; None is the first.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {}
    for part, piece in mode.pieces.items():
        codes = piece.codes_of(part_of(prepared, part))
        if codes is not None:
            columns[f"{prefix(part)}code"] = codes
            if piece.field in given:
                columns[prefix(part) + GIVEN] = given[piece.field]
    if not columns:
        return ()
    some = np.logical_or.reduce(
        [(own >= 0).any(axis=1) for name, own in columns.items() if not name.endswith(GIVEN)]
    )
    items = np.flatnonzero(some)
    ids = pa.array([raw_ids[item - 1] for item in items.tolist()], pa.string())
    table = {ID: ids, **{name: list(codes[items]) for name, codes in columns.items()}}
    pq.write_table(pa.table(table), path, compression="zstd")
    return tuple(columns)


def part_of(prepared: Prepared, part: str) -> Prepared:
    """Return the arrays of one part of a combination, or all arrays of a single mode.

    Args:
        prepared: The arrays that the mode prepared.
        part: The name of the part; empty for a single mode.
    """
    start = prefix(part)

    def own(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {
            name.removeprefix(start): values
            for name, values in arrays.items()
            if name.startswith(start)
        }

    return Prepared(own(prepared.item), own(prepared.slot), own(prepared.whole))


def as_table(ids: Sequence[str | None], columns: Columns) -> Any:
    """Return inputs as an Arrow table; arrays of several dimensions become lists.

    Args:
        ids: n raw ids.
        columns: The inputs of n items or users.
    """
    import pyarrow as pa

    arrays = {
        name: list(values) if isinstance(values, list) or values.ndim > 1 else values
        for name, values in columns.items()
    }
    typed = {
        name: pa.array(values, pa.list_(_type(values[0].dtype)))
        if isinstance(values, list)
        else pa.array(values)
        for name, values in arrays.items()
    }
    return pa.table({ID: pa.array(ids, pa.string()), **typed})


def _type(dtype: np.dtype) -> Any:
    import pyarrow as pa

    return pa.from_numpy_dtype(dtype)


def _write(path: Path, look_up: Callable[[np.ndarray], Columns], raw_ids: Sequence[str]) -> None:
    import pyarrow.parquet as pq

    writer = None
    try:
        for table in _blocks(look_up, raw_ids):
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _blocks(look_up: Callable[[np.ndarray], Columns], raw_ids: Sequence[str]) -> Iterator[Any]:
    for start in range(0, 1 + len(raw_ids), ROWS):
        rows = np.arange(start, min(start + ROWS, 1 + len(raw_ids)))
        ids = [raw_ids[row - 1] if row else None for row in rows.tolist()]
        yield as_table(ids, look_up(rows))
