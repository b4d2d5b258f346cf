"""Reads codes that another program assigned to items, from Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ctrbench.embeddings.readers._base import (
    NAMED,
    Source,
    VectorBlock,
    check_file,
    check_width,
    check_widths,
    is_folder,
)
from ctrbench.embeddings.readers._columns import (
    NUMBERED,
    UNNAMED,
    arrow_errors,
    check_nulls,
)
from ctrbench.embeddings.readers._parquet import open_parquet, read_ids
from ctrbench.embeddings.readers._parts import parts_of
from ctrbench.embeddings.readers._tables import is_list_type, without_views
from ctrbench.errors import ConfigError, DataError, unknown_name
from ctrbench.printable import counted

SHOWN = 5  # ids in a message
FORMS = (
    "a column item_id, and one integer column, integer columns numbered from 0 or 1 (code0, "
    "code1, ...), or one column of lists of integers"
)


def read_codes(source: Source) -> VectorBlock:
    """Return the codes of all items, (n, L) int32, or int64 if one of them is larger.

    Args:
        source: A `.parquet` file, or a folder of such files.

    Raises:
        ConfigError: The file has another extension, or an option does not apply to codes.
        DataError: A file is missing or damaged, has no column of codes, or a code is missing or
            negative.
    """
    _refuse_options(source)
    ids, found, notes = list[str](), list[np.ndarray](), dict[str, None]()
    for path in _files(source.vectors):
        check_file(path)
        with arrow_errors(path), open_parquet(path) as file:
            key, chosen, others = _choose(file.schema_arrow, source, path)
            of_file = read_ids(file, key, path)
            table = file.read(columns=chosen)
        if table.num_rows != len(of_file):
            raise DataError(f"{path} is damaged: its columns differ in length. Copy it again.")
        if not of_file:
            continue
        codes = _codes([table.column(name) for name in chosen], of_file, path)
        if found and codes.shape[1] != found[0].shape[1]:
            raise DataError(
                f"{path}: {codes.shape[1]} codes per item, but {found[0].shape[1]} in the other "
                "files; all items must have the same number."
            )
        ids += of_file
        found.append(codes)
        notes[f"codes: {', '.join(chosen)}"] = None
        if others:
            notes[f"columns not used: {', '.join(others)}"] = None
    if not found:
        raise DataError(f"{source.vectors} contains no codes.")
    whole = np.concatenate(found)
    _refuse_negative(whole, ids, source.vectors)
    narrow = whole.max() <= np.iinfo(np.int32).max
    return VectorBlock(ids, whole.astype(np.int32) if narrow else whole, tuple(notes))


def _refuse_options(source: Source) -> None:
    options = {"--ids": source.ids, "--key": source.key, "--value": source.value}
    options["--scale"] = source.scale
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ConfigError(f"{', '.join(given)}: does not apply to codes; remove it.")


def _files(path: Path) -> list[Path]:
    """Return the Parquet files of a source."""
    files = parts_of(path) if is_folder(path) else [path]
    if not files or any(file.suffix.lower() != ".parquet" for file in files):
        raise ConfigError(
            f"{path}: codes are read from .parquet files, or a folder of them. Write one row per "
            f"item: {FORMS}."
        )
    return files


def _choose(schema: Any, source: Source, path: Path) -> tuple[str, list[str], list[str]]:
    """Return the column of ids, the columns of codes in order, and all other columns."""
    import pyarrow.types as types

    names = [field.name for field in schema]
    if len({*names}) < len(names):
        raise DataError(f"{path}: two columns have the same name; found {', '.join(names)}.")
    wanted = NAMED if source.ids_column is None else (source.ids_column,)
    key = next((name for name in wanted if name in names), None)
    if key is None:
        raise DataError(f"{path}: {unknown_name('column', wanted[0], names)}")
    rest = [f for f in schema if f.name != key and not UNNAMED.fullmatch(f.name)]
    lists = [f.name for f in rest if is_list_type(f.type) and types.is_integer(f.type.value_type)]
    whole = [f.name for f in rest if types.is_integer(f.type)]
    if source.column is not None:
        if source.column not in (*lists, *whole):
            problem = unknown_name("column of integers", source.column, [*lists, *whole])
            raise DataError(f"{path}: {problem}")
        chosen = [source.column]
    else:
        chosen = lists or _levels(whole)
        if not chosen or len(lists) > 1:
            found = ", ".join(f"{field.name} ({field.type})" for field in rest) or "no others"
            raise DataError(
                f"{path}: the codes are ambiguous or missing beside {key}: {found}. Codes are "
                f"{FORMS}. Name the column by --vector-column, or rename the columns."
            )
    return key, chosen, [field.name for field in rest if field.name not in chosen]


def _levels(names: Sequence[str]) -> list[str]:
    """Return the only name, or the names that are numbered from 0 or 1; else none.

    >>> _levels(["price", "c2", "c1"]), _levels(["code"]), _levels(["a", "b"])
    (['c1', 'c2'], ['code'], [])
    """
    if len(names) == 1:
        return list(names)
    groups: dict[str, dict[int, str]] = {}
    for name in names:
        if match := NUMBERED.fullmatch(name):
            groups.setdefault(match[1], {})[int(match[2])] = name
    runs = [
        [own[number] for number in sorted(own)]
        for own in groups.values()
        if len(own) > 1 and sorted(own) in ([*range(len(own))], [*range(1, len(own) + 1)])
    ]
    return runs[0] if len(groups) == len(runs) == 1 else []


def _codes(columns: Sequence[Any], ids: list[str], path: Path) -> np.ndarray:
    """Return the codes of one file, (n, L) int64."""
    import pyarrow.compute as pc

    if is_list_type(columns[0].type):
        column = without_views(columns[0].combine_chunks())
        check_nulls(ids, ~column.is_valid().to_numpy(zero_copy_only=False), path)
        lengths = pc.call_function("list_value_length", [column])
        widths = lengths.to_numpy(zero_copy_only=False)
        check_widths(ids, widths, int(widths[0]), path)
        flat = _wide(column.flatten(), path)
        missing = ~flat.is_valid().to_numpy(zero_copy_only=False)
        check_nulls(ids, missing.reshape(len(ids), -1).any(axis=1), path)
        return flat.to_numpy(zero_copy_only=False).reshape(len(ids), -1)
    check_width(len(columns), path)
    valid = [column.is_valid().to_numpy() for column in columns]
    check_nulls(ids, ~np.column_stack(valid).all(axis=1), path)
    return np.column_stack([_wide(column, path).to_numpy() for column in columns])


def _wide(column: Any, path: Path) -> Any:
    """Return integers as int64."""
    import pyarrow as pa

    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{path}: a code does not fit into 64 bits: {error}. Number codes from 0."
        ) from error


def _refuse_negative(codes: np.ndarray, ids: list[str], path: Path) -> None:
    wrong = np.flatnonzero((codes < 0).any(axis=1))
    if len(wrong):
        shown = ", ".join(f"{ids[row]} ({codes[row].tolist()})" for row in wrong[:SHOWN])
        raise DataError(
            f"{path}: {counted(len(wrong), 'item has', 'items have')} negative codes: {shown}. "
            "Remove the rows of items without codes, and number codes from 0."
        )
