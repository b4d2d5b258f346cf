"""What the columns of a Parquet or CSV file are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctrbench.embeddings.readers._base import NAMED
from ctrbench.errors import DataError, unknown_name

NO_NUMBER = re.compile(r"Row #(\d+): CSV conversion error to double: invalid value ('.*')")


def choose(
    columns: list[tuple[str, str]], path: Path, column: str | None = None
) -> tuple[str, list[str], bool]:
    """The column of ids, the columns of vectors, and whether these are one column of lists.

    Args:
        columns: name and kind of each: `list`, `number`, or another type in its own words.
        path: the file, for messages.
        column: the column of lists, where the user names one.

    Raises:
        DataError: no id column, or no way to tell which columns are the vector.

    >>> choose([("item_id", "int64"), ("title", "string"), ("value", "list")], Path("a.parquet"))
    ('item_id', ['value'], True)
    """
    names = [name for name, _ in columns]
    if len(set(names)) < len(names):
        raise DataError(f"{path}: two columns share a name; found {_listed(names)}.")
    key = next((name for name in NAMED if name in names), None)
    if key is None:
        raise DataError(f"{path}: no column item_id (or key); found {_listed(names)}.")
    rest = [(name, kind) for name, kind in columns if name != key]
    lists = [name for name, kind in rest if kind == "list"]
    if column is not None and column not in lists:
        told = unknown_name("column of lists of floating point numbers", column, lists)
        raise DataError(f"{path}: {told}")
    if column is not None or len(lists) == 1:
        return key, [column or lists[0]], True
    if lists:
        raise DataError(
            f"{path}: several columns hold lists of numbers, {_listed(lists)}; say which one is "
            f"the vector: --column {lists[0]}."
        )
    others = [f"{name} ({kind})" for name, kind in rest if kind != "number"]
    if others or not rest:
        raise DataError(
            f"{path}: beside {key} there must be a column of lists of floating point numbers, or "
            "one floating point column per dimension and nothing else; "
            + (f"leave out of the file: {_listed(others)}." if others else "there is none.")
        )
    return key, [name for name, _ in rest], False


@contextmanager
def arrow_errors(path: Path) -> Iterator[None]:
    """Turn pyarrow's complaint about a file into a message.

    Raises:
        DataError: the file is damaged or a row does not fit.
    """
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    except OSError as error:
        if error.errno is not None:  # the operating system's, not pyarrow's own
            raise
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    told = " ".join(str(error).split())[:300].removeprefix("CSV parse error: ").rstrip(".")
    conversion = NO_NUMBER.search(told)
    if conversion:
        return DataError(
            f"{path}, line {conversion[1]}: {conversion[2]} is no number; every column beside the "
            "ids must hold numbers."
        )
    return DataError(f"{path} cannot be read: {told}. Save or copy it again.")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
