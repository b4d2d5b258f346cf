"""Arguments of Python users: workspaces, numbers of jobs, and data in memory as files."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from ctrbench.arrays import save_array
from ctrbench.environment import usable_cores
from ctrbench.errors import ConfigError, CtrBenchError, DataError
from ctrbench.schema import PERIODS, Source
from ctrbench.workspace import Workspace, workspace_at

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Location = str | os.PathLike[str]
Home = Workspace | Location  # a workspace, or its folder
Frame = Any  # a DataFrame of pandas or polars, a table of pyarrow, or a mapping of columns
Vectors = Any  # a file, an array (n, D) of numpy or torch, a `Frame`, or a `Source`
Ids = Any  # a file, or a sequence, array or Series of n ids
Jobs = int | Literal["auto"]
MOST_JOBS = 9999
TABLES = "give a file, a DataFrame of pandas or polars, a table of pyarrow, or a dict of columns"


def opened(workspace: Home) -> Workspace:
    """Return a workspace.

    Args:
        workspace: A workspace, or its folder, which exists or can be created.

    Raises:
        ConfigError: The path is not a folder, or the argument is neither.
    """
    if isinstance(workspace, Workspace):
        return workspace
    if not is_location(workspace):
        raise ConfigError(f"workspace is {described(workspace)}; give a folder or a Workspace.")
    return workspace_at(Path(workspace))


def is_location(value: object) -> bool:
    """Return whether a value is a path."""
    return isinstance(value, str | os.PathLike)


def listed(names: str | Iterable[str]) -> tuple[str, ...]:
    """Return names as a tuple; text is one name."""
    return (names,) if isinstance(names, str) else tuple(names)


def checked_jobs(jobs: Jobs) -> int:
    """Return the number of cells to train at once.

    Raises:
        ConfigError: It is neither a number from 1 to 9999 nor `auto`.
    """
    if jobs == "auto":
        return usable_cores()
    if not isinstance(jobs, int) or isinstance(jobs, bool) or not 1 <= jobs <= MOST_JOBS:
        raise ConfigError(
            f"jobs {jobs!r} is not valid: give a number from 1 to {MOST_JOBS}, or 'auto'."
        )
    return jobs


def described(value: object) -> str:
    """Return the library and the type of a value, for messages.

    >>> described([1])
    'a list'
    """
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    name = kind.__name__ if library == "builtins" else f"{library} {kind.__name__}"
    article = "an" if name[0] in "aeio" else "a"
    return f"{article} {name}"


class Memory:
    """Writes data in memory to temporary files, which exist until the end of the context.

    Messages of errors name the argument instead of its file.
    """

    def __enter__(self) -> Memory:
        self._folder = tempfile.TemporaryDirectory(prefix="ctrbench-")
        self._names: dict[str, str] = {}  # path -> the argument
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()
        if isinstance(error, CtrBenchError):
            error.args = (self.named(str(error)),)

    def named(self, text: str) -> str:
        """Return a text with arguments in place of temporary files."""
        for path, name in self._names.items():
            text = text.replace(path, name)
        return text

    def log(self, given: object) -> list[str]:
        """Return the impressions as the importer of tables names them: `FILE` or `PERIOD=FILE`.

        Args:
            given: A file, several files, a `Frame`, or one of these by period.

        Raises:
            DataError: It is something else.
        """
        if isinstance(given, Mapping) and given and set(given) <= set(PERIODS):
            return [
                f"{period}={self.table(part, f'impressions[{period!r}]')}"
                for period, part in given.items()
            ]
        if isinstance(given, Mapping) and any(map(is_frame, given.values())):
            wrong = ", ".join(repr(key) for key in given if key not in PERIODS)
            raise DataError(
                f"impressions (a dict) has tables for {wrong}, not a period; the periods are "
                f"{', '.join(PERIODS)}."
            )
        if isinstance(given, list | tuple) and all(map(is_location, given)) and given:
            return [os.fspath(one) for one in given]
        return [self.table(given, "impressions")]

    def table(self, given: object, argument: str) -> str:
        """Return the path of a table.

        Args:
            given: A path, or a `Frame`.
            argument: The name of the argument, for messages.

        Raises:
            DataError: It is something else, or a column cannot be stored.
        """
        if isinstance(given, str | os.PathLike):
            return os.fspath(given)
        import pyarrow.parquet as pq

        table = as_arrow(given, argument)
        path = self._file(argument, "parquet", given)
        pq.write_table(table, path)
        return str(path)

    def source(self, given: object, ids: object, options: Source, argument: str) -> Source:
        """Return vectors or codes as the source of a version.

        Args:
            given: `Vectors`.
            ids: `Ids` of the rows; None if the vectors have them.
            options: How to read the file; its paths are ignored.
            argument: The name of the argument, for messages.

        Raises:
            ConfigError: Ids are missing, or given twice.
            DataError: The vectors or ids are something else, or their shapes disagree.
        """
        if isinstance(given, Source):
            if ids is not None:
                raise ConfigError(f"{argument} is a Source, which names its ids; remove ids.")
            return given
        if isinstance(given, str | os.PathLike):
            return replace(options, vectors=Path(given), ids=self._ids(ids, None, argument))
        if is_frame(given):
            if ids is not None:
                raise ConfigError(
                    f"{argument} is {described(given)}, which has a column of ids; name it by "
                    "ids_column, and remove ids."
                )
            return replace(options, vectors=Path(self.table(given, argument)))
        array = as_array(given, argument)
        if ids is None:
            raise ConfigError(
                f"{argument} is {described(given)} without ids; give ids=, the item id of each row."
            )
        if options.codes:
            return replace(options, vectors=self._codes(array, ids, argument))
        path = self._file(argument, "npy", given)
        save_array(path, array)
        return replace(options, vectors=path, ids=self._ids(ids, len(array), argument))

    def _codes(self, codes: np.ndarray, ids: object, argument: str) -> Path:
        """Return a table of ids and codes, one column per level."""
        table = {"item_id": as_ids(ids, len(codes), argument)}
        table |= {f"code{level}": codes[:, level] for level in range(codes.shape[1])}
        return Path(self.table(table, argument))

    def _ids(self, ids: object, rows: int | None, argument: str) -> Path | None:
        """Return the file of ids; `rows` is the number of vectors if it is known."""
        if ids is None or isinstance(ids, str | os.PathLike):
            return None if ids is None else Path(ids)
        found = as_ids(ids, rows, argument)
        path = self._file("ids", "npy", ids)
        save_array(path, found)
        return path

    def _file(self, argument: str, ending: str, given: object) -> Path:
        """Return the path of a new file, whose messages name the argument."""
        folder = Path(self._folder.name) / str(len(self._names))
        folder.mkdir()
        path = folder / f"{argument.partition('[')[0]}.{ending}"
        self._names[str(path)] = f"{argument} ({described(given)})"
        return path


def is_frame(given: object) -> bool:
    """Return whether a value is a table with named columns."""
    return isinstance(given, Mapping) or type(given).__name__ in (
        *("DataFrame", "LazyFrame"),
        *("Table", "RecordBatch", "RecordBatchReader"),
    )


def as_arrow(given: Any, argument: str) -> pa.Table:
    """Return a table of any library as one of pyarrow.

    Named levels of a pandas index become columns.

    Args:
        given: The table.
        argument: The name of the argument, for messages.

    Raises:
        DataError: It is not a table, has no columns or unnamed ones, or a column has several types.
    """
    import pyarrow as pa

    name = f"{argument} is {described(given)}"
    if type(given).__name__ == "Series":
        raise DataError(f"{name}, which is a single column; give a DataFrame.")
    records = getattr(getattr(given, "dtype", None), "names", None)  # of a structured numpy array
    if records:
        given = {column: given[column] for column in records}
    if not is_frame(given):
        raise DataError(f"{name}; {TABLES}.")
    pandas = sys.modules.get("pandas")
    try:
        if pandas is not None and isinstance(given, pandas.DataFrame):
            table = _from_pandas(given, argument)
        elif type(given).__name__ == "LazyFrame":
            table = given.collect().to_arrow()
        elif isinstance(given, Mapping):
            table = pa.table(dict(given))
        else:
            table = pa.table(given)
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = " ".join(str(part) for part in error.args)
        raise DataError(
            f"{argument} ({described(given)}) cannot be stored as a table: {reason}. Give each "
            "column one type."
        ) from error
    if not table.num_columns:
        raise DataError(f"{name} without columns; {TABLES}.")
    return table


def _from_pandas(frame: Any, argument: str) -> pa.Table:
    import pyarrow as pa

    if any(isinstance(name, str) for name in frame.index.names):
        frame = frame.reset_index()
    if unnamed := [name for name in frame.columns if not isinstance(name, str)]:
        raise DataError(
            f"{argument} ({described(frame)}) has columns that are not named by text, such as "
            f"{unnamed[0]!r}; rename them."
        )
    if repeated := frame.columns[frame.columns.duplicated()].tolist():
        raise DataError(
            f"{argument} ({described(frame)}) has several columns {repeated[0]!r}; rename them."
        )
    return pa.Table.from_pandas(frame, preserve_index=False)


def as_array(given: Any, argument: str) -> np.ndarray:
    """Return vectors or codes as an array (n, D).

    Args:
        given: An array of numpy or torch, or rows of numbers.
        argument: The name of the argument, for messages.

    Raises:
        DataError: They are no numbers, or no rows of one width.
    """
    import numpy as np

    name = f"{argument} is {described(given)}"
    if type(given).__name__ == "Series":
        raise DataError(
            f"{name}; give an array, `numpy.stack(series.tolist())`, and its ids, or a DataFrame "
            "with a column item_id."
        )
    if hasattr(given, "detach"):  # torch; numpy has no bfloat16
        given = given.detach().cpu()
        given = given.float() if str(given.dtype) == "torch.bfloat16" else given.numpy()
    try:
        array = np.asarray(given)
    except (ValueError, TypeError) as error:  # rows of different lengths
        raise DataError(f"{name} whose rows differ in length; give an array (n, D).") from error
    if array.dtype.kind not in "fiub":
        raise DataError(f"{name} of type {array.dtype}; give an array of numbers, (n, D).")
    if array.ndim != 2 or not array.shape[1]:
        raise DataError(
            f"{name} of shape {array.shape}; give an array (n, D), one row per item, D at least 1."
        )
    return array


def as_ids(given: Any, rows: int | None, argument: str) -> np.ndarray:
    """Return ids as an array (n,) of integers, floats or text.

    Args:
        given: A sequence, array or Series of ids.
        rows: The number of rows that they name; None: unknown.
        argument: The name of the argument with these rows, for messages.

    Raises:
        DataError: They are no ids, or their number differs from that of the rows.
    """
    import numpy as np

    name = f"ids is {described(given)}"
    if not isinstance(given, Sequence) and not hasattr(given, "__array__"):
        raise DataError(f"{name}; give a file, a list, an array or a Series of ids.")
    found = list(given) if not hasattr(given, "shape") else np.asarray(given)
    array = np.asarray(found)
    if array.ndim != 1:
        raise DataError(f"{name} of shape {array.shape}; give one id per row, (n,).")
    if array.dtype.kind not in "iufU":
        missing = [row for row, one in enumerate(array.tolist()) if one is None or one != one]
        if missing:
            raise DataError(f"{name} with a missing id in row {missing[0]}; give every row one id.")
        strange = [one for one in array.tolist() if not isinstance(one, str | int)]
        if strange or array.dtype.kind == "b":
            wrong = described((strange or array.tolist())[0])
            raise DataError(f"{name} that contains {wrong}; ids are text or whole numbers.")
        array = array.astype(str)
    if rows is not None and len(array) != rows:
        raise DataError(f"{argument} has {rows:,} rows, but ids has {len(array):,}; give one each.")
    return array
