"""What the columns of a table of vectors are."""

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

LIST, WRITTEN, NUMBER = "list", "list as text", "number"  # kinds of columns that can be vectors
UNNAMED = re.compile(r"|Unnamed: \d+|__index_level_\d+__")  # by pandas: the number of the row
NUMBERED = re.compile(r"(.*?)(\d+)")
LIST_START = re.compile(r"\s*\[\s*([-+]?([\d.]|nan|inf)|\]\s*$)", re.IGNORECASE)
NO_NUMBER = re.compile(r"Row #(\d+): CSV conversion error to double: invalid value ('.*')")
LONGEST = 60  # characters of a name in a message
ENCODED = (
    "If a column holds vectors as bytes or as base64, decode them before saving: "
    "`numpy.frombuffer(base64.b64decode(value), 'float32')`"
)


@dataclass(frozen=True)
class Layout:
    """Which columns are read."""

    key: str  # of the ids
    values: list[str]  # one column of lists, or one column per dimension
    kind: str  # of the columns of values: LIST, WRITTEN, NUMBER
    left_out: tuple[str, ...] = ()  # the other columns, with their types

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the columns that are not read."""
        return (f"columns not used: {_listed(self.left_out)}",) if self.left_out else ()


def choose(columns: list[tuple[str, str]], path: Path, column: str | None = None) -> Layout:
    """Which columns hold ids and vectors.

    Args:
        columns: name and kind of each: `LIST`, `WRITTEN`, `NUMBER`, "int8", or another type in its
            own words.
        path: the file, for messages.
        column: the column of lists, where the user names one.

    Raises:
        DataError: no id column, or no way to tell which columns are the vector.

    >>> choose([("item_id", "int64"), ("title", "string"), ("value", "list")], Path("a.parquet"))
    Layout(key='item_id', values=['value'], kind='list', left_out=('title (string)',))
    """
    names = [name for name, _ in columns]
    if len(set(names)) < len(names):
        raise DataError(f"{path}: two columns share a name; found {_listed(names)}.")
    keys = [name for wanted in NAMED for name in names if name.strip() == wanted]
    if not keys:
        raise DataError(
            f"{path}: no column item_id (or key); found {_listed(names)}. Name the "
            "column of ids item_id."
        )
    rest = [(name, kind) for name, kind in columns if name != keys[0]]
    chosen = _lists(rest, path, column) or _dimensions(rest, path, keys[0])
    left_out = [f"{name or 'without a name'} ({kind})" for name, kind in rest if name not in chosen]
    return Layout(keys[0], chosen, dict(rest)[chosen[0]], tuple(left_out))


def is_list(cell: str) -> bool:
    """Whether a text is a list of numbers, at least its start.

    >>> is_list("[0.1, 2]"), is_list("[-nan 1]"), is_list("[]"), is_list('["red"]')
    (True, True, True, False)
    """
    return LIST_START.match(cell) is not None


def parsed(ids: list[str], lists: list[str | None], path: Path) -> list[list[float]]:
    """Lists of numbers that are written as text: `[0.1, 0.2]` or `[0.1 0.2]`.

    Raises:
        DataError: a text is missing or no list; says of which id.
    """
    check_nulls(ids, [cell is None for cell in lists], path)
    return [_numbers(raw, cell or "", path) for raw, cell in zip(ids, lists, strict=True)]


def check_nulls(ids: list[str], missing: ArrayLike, path: Path) -> None:
    """Refuse rows without a vector.

    Raises:
        DataError: the vector of an id, or a number of it, is null.
    """
    wrong = np.flatnonzero(missing)
    if len(wrong):
        raise DataError(
            f"{path}: the vectors of {len(wrong):,} or more ids are null or hold nulls: "
            f"{_listed([ids[row] for row in wrong[:6]], 5)}; leave these rows out of the file, an "
            "item without a row has no vector."
        )


def _numbers(raw: str, cell: str, path: Path) -> list[float]:
    try:
        return [float(number) for number in cell.strip().strip("[]").replace(",", " ").split()]
    except ValueError as error:
        raise DataError(
            f"{path}: the vector of item {raw} is no list of numbers: {error}."
        ) from error


def _lists(rest: list[tuple[str, str]], path: Path, column: str | None) -> list[str]:
    """The column of lists; none if there is none."""
    whole = [name for name, kind in rest if kind == LIST]
    text = [name for name, kind in rest if kind == WRITTEN]
    if column is not None:
        if column not in (*whole, *text):
            told = unknown_name("column of lists of floating point numbers", column, whole + text)
            raise DataError(f"{path}: {told}")
        return [column]
    lists = whole or text
    if len(lists) > 1:
        raise DataError(
            f"{path}: several columns hold lists of numbers, {_listed(lists)}; say which one is "
            f"the vector: --column {lists[0]}."
        )
    return lists


def _dimensions(rest: list[tuple[str, str]], path: Path, key: str) -> list[str]:
    """The columns of one number each: those that are numbered, else all there are."""
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
    raise DataError(
        f"{path}: beside {key} there must be a column of lists of floating point numbers, or one "
        "floating point column per dimension, numbered (d0, d1, ...) or without any other column; "
        + (
            f"leave out of the file: {_listed(others)}. {ENCODED}. {CONVERT}"
            if others
            else "there is none."
        )
    )


def _numbered(rest: list[tuple[str, str]]) -> list[list[tuple[int, str, str]]]:
    """Columns that share a name up to its number: number, name and kind of each, in order.

    Groups hold several columns, of which several can be dimensions.
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
    """The names of the one group, whose numbers run from 0 or 1 without a gap.

    Raises:
        DataError: there are several groups; or one of several types, with numbers missing or twice.
    """
    if len(groups) > 1:
        heads = _listed([f"{group[0][1]}, {group[1][1]}, ..." for group in groups])
        raise DataError(
            f"{path}: several groups of numbered columns may be the vector: {heads}; leave all but "
            "one out of the file, or number them as one."
        )
    numbers, names, kinds = map(list, zip(*groups[0], strict=True))
    if len(set(kinds)) > 1:
        listed = _listed([f"{name} ({kind})" for _, name, kind in groups[0]])
        raise DataError(f"{path}: numbered columns of several types: {listed}; give them one type.")
    if numbers in (_run(0, names), _run(1, names)):
        return names
    raise DataError(
        f"{path}: the numbers of {_listed(names)} do not run from 0 or 1 without a gap, each "
        f"once{_missing(numbers)}. Number the dimensions one after the other, and leave other "
        "columns of numbers out of the file."
    )


def _missing(numbers: list[int]) -> str:
    """Which numbers are not there, as far as they are few."""
    if numbers[-1] > 2 * len(numbers) + 1:
        return ""
    missing = sorted(set(range(1, numbers[-1])) - {*numbers})
    return f": {_listed([*map(str, missing)])} missing" if missing else ""


def _refuse_as_many_others(chosen: list[str], rest: list[tuple[str, str]], path: Path) -> None:
    """A few numbers beside the dimensions are prices and the like; as many may be the vector.

    Raises:
        DataError: there are as many other columns of floating point numbers, or more.
    """
    others = [name for name, kind in rest if kind == NUMBER and name not in chosen]
    if len(others) >= len(chosen):
        raise DataError(
            f"{path}: the vector may be {_listed(chosen)}, which are numbered, or "
            f"{_listed(others)} as well; leave out of the file what is none of it, or number all "
            "dimensions."
        )


def _run(first: int, names: list[str]) -> list[int]:
    return list(range(first, first + len(names)))


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
            f"{path}, line {conversion[1]}: {conversion[2]} is no number; every column of the "
            "vectors must hold numbers."
        )
    return DataError(f"{path} cannot be read: {told}. Save or copy it again.")


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = len(names) - most
    shown = [name if len(name) <= LONGEST else f"{name[:LONGEST]}..." for name in names[:most]]
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
