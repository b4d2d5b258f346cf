"""Read JSON lines, Arrow, Feather and ORC files into tables of a database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctrbench.datasets._text_files import UNPACKED, pattern, plain_file
from ctrbench.errors import DataError
from ctrbench.importing.relations import literal, quoted

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

JSON = {".jsonl": "newline_delimited", ".ndjson": "newline_delimited", ".json": "auto"}
ARROW = (".arrow", ".feather", ".ipc", ".orc")
# types that DuckDB guesses from the form of a text; the text itself is what the file holds
GUESSED = r"\b(UUID|DATE|TIMESTAMP( WITH TIME ZONE)?(_\w+)?|TIME)\b"


def json_query(connection: DuckDBPyConnection, path: Path, kind: str, encoding: str) -> str:
    """Return SQL of the rows of a JSON file. Text stays text, also if it looks like a date.

    Args:
        connection: The database that reads the file.
        path: The file, which may be compressed.
        kind: Its extension, a key of `JSON`.
        encoding: Its encoding.

    Raises:
        DataError: The file is damaged or has another encoding.
    """
    if encoding != "utf-8" or path.suffix.lower() in UNPACKED:
        path, _ = plain_file(connection, path, encoding)
    source = f"{pattern(path)}, format = '{JSON[kind]}', hive_partitioning = false"
    rows = connection.execute(f"DESCRIBE FROM read_json({source}, sample_size = -1)").fetchall()
    types = {name: re.sub(GUESSED, "VARCHAR", kind) for name, kind, *_ in rows}
    listed = ", ".join(f"{quoted(name)}: {literal(kind)}" for name, kind in types.items())
    chosen = ", ".join(f"{_unquoted(name, kind)} AS {quoted(name)}" for name, kind in types.items())
    return f"SELECT {chosen} FROM read_json({source}, columns = {{{listed}}})"


def fill_from_arrow(connection: DuckDBPyConnection, name: str, path: Path) -> set[str]:
    """Create a table of an Arrow, Feather or ORC file, and return its columns of half floats.

    Args:
        connection: The database.
        name: SQL name of the table.
        path: The file.

    Raises:
        DataError: The file is damaged, or in Feather version 1.
    """
    import pyarrow as pa

    schema, batches = _orc(path) if path.suffix.lower() == ".orc" else _ipc(path)
    target = pa.schema([field.with_type(_readable(field.type)) for field in schema])
    tables = (pa.Table.from_batches([batch]) for batch in _valid(batches))
    cast = (table if target == schema else table.cast(target) for table in tables)
    reader = pa.RecordBatchReader.from_batches(
        target, (batch for table in cast for batch in table.to_batches())
    )
    connection.register("arrow file", reader)
    connection.execute(f'CREATE TABLE {name} AS FROM "arrow file"')
    connection.unregister("arrow file")
    return {field.name for field in schema if pa.types.is_float16(field.type)}


def _valid(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches after a check; one with invalid offsets would crash its readers."""
    for batch in batches:
        batch.validate(full=True)
        yield batch


def _unquoted(name: str, kind: str) -> str:
    """Return SQL of a column; values of mixed types, such as 7 and "7", become text."""
    if kind == "JSON":
        return f"{quoted(name)} ->> '$'"
    if kind == "JSON[]":
        return f"list_transform({quoted(name)}, lambda v: v ->> '$')"
    return quoted(name)


def _ipc(path: Path) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Return schema and batches of an Arrow file or an Arrow stream."""
    import pyarrow as pa

    source = pa.memory_map(str(path))
    start = source.read(6)
    if start.startswith(b"FEA1"):
        raise DataError(f"{path} is in Feather version 1. Write it in version 2, or as Parquet.")
    if start != b"ARROW1":
        source.seek(0)
        stream = pa.ipc.open_stream(source)
        return stream.schema, iter(stream)
    file = pa.ipc.open_file(source)
    return file.schema, (file.get_batch(index) for index in range(file.num_record_batches))


def _orc(path: Path) -> tuple[pa.Schema, Iterator[Any]]:
    from pyarrow import orc

    try:
        file = orc.ORCFile(path)
    except OSError as error:
        raise DataError(f"{path} is damaged or no orc file: {error}") from error
    return file.schema, (file.read_stripe(index) for index in range(file.nstripes))


def _readable(kind: pa.DataType) -> pa.DataType:
    """Return the type that DuckDB reads instead of a type that it lacks."""
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        return _readable(kind.storage_type)
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_decimal256(kind):
        return pa.float64()
    lists = {
        pa.types.is_list: pa.list_,
        pa.types.is_large_list: pa.large_list,
        pa.types.is_list_view: pa.list_view,
        pa.types.is_large_list_view: pa.large_list_view,
        pa.types.is_fixed_size_list: pa.large_list,
    }
    for is_kind, make in lists.items():
        if is_kind(kind):
            inner = _readable(kind.value_type)
            return kind if inner == kind.value_type else make(inner)
    return kind
