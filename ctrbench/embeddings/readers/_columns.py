"""Finds the columns of ids and vectors in a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.embeddings.readers._base import CONVERT, NAMED, check_width
from ctrbench.errors import DataError, unknown_name
from ctrbench.printable import counted
from ctrbench.schema import Source

LIST, WRITTEN, NUMBER = "list", "list as text", "number"  # kinds of columns that can hold vectors
TEXTS = "text", "string", "large_string", "string_view"  # lists if the user names the column
UNNAMED = re.compile(r"|Unnamed: \d+|__index_level_\d+__")  # row numbers that pandas writes
NUMBERED = re.compile(r"(.*?)(\d+)")
LIST_START = re.compile(r"\s*\[\s*([-+]?([\d.]|nan|inf)|\]\s*$)", re.IGNORECASE)
NO_NUMBER = re.compile(r"Row #(\d+): CSV conversion error to double: invalid value ('.*')")
LONGEST = 60  # characters of a name in a message
ENCODED = (
    "Decode vectors that are stored as bytes or base64 before saving: "
    "`numpy.frombuffer(base64.b64decode(value), 'float32')`"
)


@dataclass(frozen=True)
class Layout:
    """The columns to read."""

    key: str  # the column of ids
    values: list[str]  # one column of lists, or one column per dimension
    kind: str  # of the columns of values: LIST, WRITTEN or NUMBER
    left_out: tuple[str, ...] = ()  # all other columns, with their types

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes about the columns that are not read."""
        return (f"columns not used: {_listed(self.left_out)}",) if self.left_out else ()


def choose(columns: list[tuple[str, str]], source: Source) -> Layout:
    """Return the columns of ids and vectors.

    Args:
        columns: Name and kind of each column; the kind is `LIST`, `WRITTEN`, `NUMBER`, "int8" or
            the name of another type.
        source: The file, and the columns that the user named.

    Raises:
        DataError: The table lacks a named column or has no id column, or the columns of the vector
            are ambiguous.

    >>> columns = [("item_id", "int64"), ("title", "string"), ("value", "list")]
    >>> choose(columns, Source(Path("a.parquet")))
    Layout(key='item_id', values=['value'], kind='list', left_out=('title (string)',))
    """
    path = source.vectors
    names = [name for name, _ in columns]
    if len(set(names)) < len(names):
        raise DataError(f"{path}: two columns have the same name; found {_listed(names)}.")
    key = _key(names, source)
    rest = [(name, kind) for name, kind in columns if name != key]
    chosen = _lists(rest, path, source.column) or _dimensions(rest, path, key)
    left_out = [f"{name or 'without a name'} ({kind})" for name, kind in rest if name not in chosen]
    kind = dict(rest)[chosen[0]]
    return Layout(key, chosen, WRITTEN if kind in TEXTS else kind, tuple(left_out))


def _key(names: list[str], source: Source) -> str:
    """Return the column of ids."""
    wanted = NAMED if source.ids_column is None else (source.ids_column,)
    keys = [name for one in wanted for name in names if one in (name, name.strip())]
    if keys:
        return keys[0]
    if source.ids_column is not None:
        raise DataError(f"{source.vectors}: {unknown_name('column', source.ids_column, names)}")
    raise DataError(
        f"{source.vectors}: no column item_id (or key); found {_listed(names)}. Name the column of "
        "ids by --ids-column."
    )


def is_list(cell: str) -> bool:
    """Return whether a text starts like a list of numbers.

    >>> is_list("[0.1, 2]"), is_list("[-nan 1]"), is_list("[]"), is_list('["red"]')
    (True, True, True, False)
    """
    return LIST_START.match(cell) is not None


def parsed(ids: list[str], lists: list[str | None], path: Path, first: int) -> list[list[float]]:
    """Return lists of numbers that are written as text: `[0.1, 0.2]`, `[0.1 0.2]` or `0.1,0.2`.

    Args:
        ids: n raw ids.
        lists: n texts; None if missing.
        path: The file, for messages.
        first: The row of the first text, from 1.

    Raises:
        DataError: A text is missing or not a list of numbers; names the row, the id and the text.
    """
    check_nulls(ids, [cell is None for cell in lists], path)
    rows = enumerate(zip(ids, lists, strict=True), start=first)
    return [_numbers(cell or "", f"{path}, row {row}, item {raw}") for row, (raw, cell) in rows]


def check_nulls(ids: list[str], missing: ArrayLike, path: Path) -> None:
    """Check that no row lacks a vector.

    Args:
        ids: n raw ids.
        missing: (n,) bool, whether the vector or one of its numbers is null.
        path: The file, for the message.

    Raises:
        DataError: A vector or a number is null.
    """
    wrong = np.flatnonzero(missing)
    if len(wrong):
        raise DataError(
            f"{path}: the vectors of at least {counted(len(wrong), 'id')} are null or contain "
            f"nulls: {_listed([ids[row] for row in wrong[:6]], 5)}; remove these rows. An "
            "item without a row has no vector."
        )


def _numbers(cell: str, where: str) -> list[float]:
    bare = cell.strip()
    if bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1]
    try:
        return [float(number) for number in bare.replace(",", " ").split()]
    except ValueError as error:
        shown = cell if len(cell) <= LONGEST else f"{cell[:LONGEST]}..."
        raise DataError(
            f"{where}: {shown!r} is not a list of numbers: {error}. Write it as [0.1, 0.2]."
        ) from error


def _lists(rest: list[tuple[str, str]], path: Path, column: str | None) -> list[str]:
    """Return the column of lists; empty if the table has none."""
    whole = [name for name, kind in rest if kind == LIST]
    text = [name for name, kind in rest if kind == WRITTEN]
    text += [name for name, kind in rest if name == column and kind in TEXTS]
    if column is not None:
        if column not in (*whole, *text):
            problem = unknown_name(
                "column of lists of floating point numbers", column, whole + text
            )
            raise DataError(f"{path}: {problem}")
        return [column]
    lists = whole or text
    if len(lists) > 1:
        raise DataError(
            f"{path}: several columns contain lists of numbers, {_listed(lists)}; choose one, for "
            f"example --vector-column {lists[0]}."
        )
    return lists


def _dimensions(rest: list[tuple[str, str]], path: Path, key: str) -> list[str]:
    """Return the columns of one number each: the numbered ones, else all."""
    rest = [
        (name, kind)
        for name, kind in rest
        if not UNNAMED.fullmatch(name.strip()) and name.strip() not in NAMED
    ]
    numbered = _numbered(rest)
    if numbered:
        chosen = _one_run(numbered, path)
        _refuse_as_many_others(chosen, rest, path)
        check_width(len(chosen), path)
        return chosen
    others = [f"{name} ({kind})" for name, kind in rest if kind != NUMBER]
    if not others and rest:
        check_width(len(rest), path)
        return [name for name, _ in rest]
    bare = [
        f"; if {name} contains lists without brackets, such as 0.1,0.2, add --vector-column {name}"
        for name, kind in rest
        if kind in TEXTS
    ]
    raise DataError(
        f"{path}: besides {key}, a table requires a column of lists of floating point numbers, or "
        "one floating point column per dimension, numbered (d0, d1, ...) or without other columns; "
        + (
            f"remove these columns: {_listed(others)}{''.join(bare[:1])}. {ENCODED}. {CONVERT}"
            if others
            else "it has none."
        )
    )


def _numbered(rest: list[tuple[str, str]]) -> list[list[tuple[int, str, str]]]:
    """Group columns whose names differ only in a number; yields number, name and kind in order.

    Each group has at least two columns that can be dimensions.
    """
    groups: dict[str, list[tuple[int, str, str]]] = {}
    for name, kind in rest:
        if match := NUMBERED.fullmatch(name.strip()):
            groups.setdefault(match[1], []).append((int(match[2]), name, kind))
    return [
        sorted(group)
        for group in groups.values()
        if sum(kind in (NUMBER, "int8") for _, _, kind in group) > 1
    ]


def _one_run(groups: list[list[tuple[int, str, str]]], path: Path) -> list[str]:
    """Return the column names of the only group, numbered from 0 or 1 without a gap.

    Raises:
        DataError: There are several groups, several types, or missing or repeated numbers.
    """
    if len(groups) > 1:
        heads = _listed([f"{group[0][1]}, {group[1][1]}, ..." for group in groups])
        raise DataError(
            f"{path}: several groups of numbered columns can be the vector: {heads}; keep one, "
            "or number them as one."
        )
    numbers, names, kinds = map(list, zip(*groups[0], strict=True))
    if len(set(kinds)) > 1:
        listed = _listed([f"{name} ({kind})" for _, name, kind in groups[0]])
        raise DataError(
            f"{path}: numbered columns have several types: {listed}; convert them to one type."
        )
    if numbers in (_run(0, names), _run(1, names)):
        return names
    raise DataError(
        f"{path}: columns {_listed(names)} must be numbered consecutively from 0 or 1"
        f"{_missing(numbers)}. Number the dimensions consecutively and remove other numeric "
        "columns."
    )


def _missing(numbers: list[int]) -> str:
    """Return the missing numbers for a message, if they are few."""
    if numbers[-1] > 2 * len(numbers) + 1:
        return ""
    missing = sorted(set(range(1, numbers[-1])) - {*numbers})
    return f": {_listed([*map(str, missing)])} missing" if missing else ""


def _refuse_as_many_others(chosen: list[str], rest: list[tuple[str, str]], path: Path) -> None:
    """Check that the numbered columns outnumber the other numeric columns.

    A few other columns, such as a price, are ignored. Otherwise, the vector is ambiguous.

    Raises:
        DataError: There are at least as many other columns of floating point numbers.
    """
    others = [name for name, kind in rest if kind == NUMBER and name not in chosen]
    if len(others) >= len(chosen):
        raise DataError(
            f"{path}: the vector is ambiguous: {_listed(chosen)}, which are numbered, or "
            f"{_listed(others)} as well; remove the columns that are not dimensions, or number all "
            "dimensions."
        )


def _run(first: int, names: list[str]) -> list[int]:
    return list(range(first, first + len(names)))


@contextmanager
def arrow_errors(path: Path) -> Iterator[None]:
    """Convert errors of pyarrow, and of numpy on its damaged buffers, about a file.

    Raises:
        DataError: The file is damaged or a row is invalid.
    """
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, ValueError, MemoryError) as error:
        raise _unreadable(path, error) from error
    except OSError as error:
        if error.errno is not None:  # an error of the operating system, not of pyarrow
            raise
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:300].removeprefix("CSV parse error: ").rstrip(".")
    conversion = NO_NUMBER.search(reason)
    if conversion:
        return DataError(
            f"{path}, line {conversion[1]}: {conversion[2]} is not a number; every column of the "
            "vectors must contain numbers."
        )
    return DataError(f"{path} cannot be read: {reason}. Save or copy it again.")


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = len(names) - most
    shown = [name if len(name) <= LONGEST else f"{name[:LONGEST]}..." for name in names[:most]]
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
