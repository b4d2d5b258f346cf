"""A folder of pictures named by item id, or a Parquet file of them -> images.parquet."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.errors import DataError
from ctrbench.importing.relations import (
    Relation,
    column_types,
    literal,
    make_room,
    make_view,
    one_row,
)
from ctrbench.raw_ids import expression, refusals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SUFFIXES = {".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
BATCH = 256  # pictures written at a time
EXAMPLES = 5  # files named in a note


def find_images(
    folder: Path, raw_item_ids: list[str]
) -> tuple[list[tuple[int, Path]], int, list[str]]:
    """Return the pictures below a folder whose name, without its extension, is an item's raw id.

    Args:
        folder: The folder; sub-folders are searched as well.
        raw_item_ids: The raw ids of item_id 1, 2, ...

    Returns:
        (item_id, file) in the order of items, how many pictures match no item, and notes on files
        that were left out: empty ones, and unsupported extensions of items without a picture.

    Raises:
        DataError: The folder does not exist, no picture matches an item, or two match the same one.
    """
    if not folder.is_dir():
        raise DataError(f"no image folder {folder}; --images takes a folder of <item id>.jpg.")
    item_ids = {raw: item_id for item_id, raw in enumerate(raw_item_ids, start=1)}
    every = sorted(file for file in folder.rglob("*") if file.is_file())
    files = [file for file in every if file.suffix.lower() in SUFFIXES]
    named = sorted((item_ids[file.stem], file) for file in files if file.stem in item_ids)
    found = [(item_id, file) for item_id, file in named if file.stat().st_size]
    if not found:
        seen = ", ".join(file.name for file in files[:3]) or "no pictures"
        raise DataError(
            f"no image in {folder} has an item id as its name (found: {seen}); expected for "
            f"example {raw_item_ids[0]}.jpg ({', '.join(sorted(SUFFIXES))}), and not empty."
        )
    pairs = groupby(found, key=lambda pair: pair[0])
    for files_of_item in ([file.name for _, file in pair] for _, pair in pairs):
        if len(files_of_item) > 1:
            raise DataError(
                f"images in {folder}: {' and '.join(files_of_item)} name the same item; keep one."
            )
    empty = [file.name for _, file in named if not file.stat().st_size]
    without = item_ids.keys() - {file.stem for _, file in named}
    other = [file.name for file in every if file.stem in without]
    notes = _left_out("empty", empty) + _left_out("with an unsupported extension", other)
    return found, len(files) - len(named), notes


def write_images(target: Path, found: list[tuple[int, Path]]) -> int:
    """Write images.parquet (item_id, file, bytes) and return the total size of the pictures.

    Args:
        target: The file to write.
        found: (item_id, file) in the order of items.

    Returns:
        The size in bytes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"item_id": pa.int32(), "file": pa.string(), "bytes": pa.binary()}
    schema = pa.schema(list(columns.items()))
    total = 0
    with pq.ParquetWriter(target, schema, compression="none", use_dictionary=False) as writer:
        for start in range(0, len(found), BATCH):
            chunk = found[start : start + BATCH]
            pictures = [file.read_bytes() for _, file in chunk]
            total += sum(map(len, pictures))
            rows = [[item_id for item_id, _ in chunk], [file.name for _, file in chunk], pictures]
            writer.write_table(pa.table(dict(zip(columns, rows, strict=True)), schema=schema))
    return total


def copy_images(items: Relation, source: Path, target: Path) -> tuple[dict[str, int], list[str]]:
    """Write images.parquet from Parquet with `item_id`, the raw id, and `bytes`.

    Args:
        items: Dense and raw ids.
        source: The Parquet file.
        target: The file to write.

    Returns:
        Counts, and notes on images that were left out because they are empty.

    Raises:
        DataError: The file is not Parquet, a column is missing, no picture matches an item, or two
            match the same one.
    """
    import duckdb

    connection = items.connection
    given = f"read_parquet({literal(source)})"
    try:
        columns = column_types(connection, given)
        make_room(connection, literal(source))
    except duckdb.Error as error:
        raise DataError(
            f"{source} is not a Parquet file, or is damaged; --images takes a folder of "
            "<item id>.jpg, or Parquet of item_id and bytes."
        ) from error
    missing = [name for name in ("item_id", "bytes") if name not in columns]
    if missing:
        raise DataError(
            f"{source} has no column {' and no '.join(missing)}; images as Parquet require item_id "
            "and bytes."
        )
    raw_id = _raw_id(connection, source, given, columns["item_id"])
    pictures = make_view(
        connection,
        "pictures",
        f"""SELECT items.item_id, given.raw_id, bytes,
        coalesce(octet_length(bytes), 0) = 0 AS empty
        FROM (SELECT {raw_id} AS raw_id, bytes FROM {given}) AS given
        LEFT JOIN {items} AS items ON items.raw_id::VARCHAR = given.raw_id""",
    )
    images, distinct, unmatched, empty, size = pictures.one_row(
        """count(item_id) FILTER (NOT empty), count(DISTINCT item_id) FILTER (NOT empty),
        count(*) - count(item_id), count(item_id) FILTER (empty),
        coalesce(sum(octet_length(bytes)) FILTER (item_id IS NOT NULL), 0)::BIGINT"""
    )
    if not images:
        reason = "all matching images are empty" if empty else "no item_id matches"
        raise DataError(f"no image in {source} belongs to an item: {reason}.")
    if distinct < images:
        twice = f"SELECT any_value(raw_id) FROM {pictures} WHERE item_id IS NOT NULL AND NOT empty "
        twice += "GROUP BY item_id HAVING count(*) > 1 ORDER BY item_id LIMIT 1"
        (item,) = one_row(connection, twice)
        raise DataError(f"{source}: item {item} has more than one image; keep one.")
    first = f"SELECT raw_id::VARCHAR FROM {pictures} WHERE item_id IS NOT NULL AND empty "
    first += f"ORDER BY item_id LIMIT {EXAMPLES}"
    names = [f"{raw}.jpg" for (raw,) in connection.execute(first).fetchall()]
    connection.execute(
        f"""COPY (SELECT item_id, raw_id || '.jpg' AS file, bytes FROM {pictures}
        WHERE item_id IS NOT NULL AND NOT empty ORDER BY item_id)
        TO {literal(target)} (FORMAT parquet, COMPRESSION uncompressed)"""
    )
    counts = {"images": images, "image_bytes": size, "images_unmatched": unmatched}
    return counts, _left_out("empty", names, empty)


def _raw_id(connection: DuckDBPyConnection, source: Path, given: str, kind: str) -> str:
    """Return SQL for the id of a picture as text.

    Raises:
        DataError: The column contains values that are not ids.
    """
    for wrong, problem in refusals("item_id", kind):
        count, example = one_row(
            connection, f"SELECT count(*), any_value(item_id) FROM {given} WHERE {wrong}"
        )
        if count:
            raise DataError(
                f"{source}: {count} value(s) of 'item_id' {problem}, such as {example}."
            )
    return expression("item_id", kind)


def _left_out(why: str, names: list[str], count: int | None = None) -> list[str]:
    """Return a note on image files that were left out; empty if there are none.

    >>> _left_out("empty", ["3.jpg", "8.png"])
    ['Image files left out: 2 empty (3.jpg, 8.png).']
    """
    count = len(names) if count is None else count
    shown = ", ".join(names[:EXAMPLES]) + (", …" if count > EXAMPLES else "")
    return [f"Image files left out: {count:,} {why} ({shown})."] if count else []
