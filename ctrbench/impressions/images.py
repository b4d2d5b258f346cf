"""A folder of pictures named by item id, or a Parquet file of them -> a file of the record."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.errors import DataError
from ctrbench.impressions.database import column_types, literal, one_row, scalar

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
BATCH = 256  # pictures written at a time


def find_images(folder: Path, raw_item_ids: list[str]) -> tuple[list[tuple[int, Path]], int]:
    """The pictures below a folder whose name, without its ending, is an item's raw id.

    Args:
        folder: searched with its sub-folders.
        raw_item_ids: of item_id 1, 2, ...

    Returns:
        (item_id, file) in the order of items, and how many pictures match no item.

    Raises:
        DataError: no such folder, no picture matches, two match one item, or one is empty.
    """
    if not folder.is_dir():
        raise DataError(f"no image folder {folder}; --images takes a folder of <item id>.jpg.")
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    item_ids = {raw: item_id for item_id, raw in enumerate(raw_item_ids, start=1)}
    found = sorted((item_ids[file.stem], file) for file in files if file.stem in item_ids)
    if not found:
        seen = ", ".join(file.name for file in files[:3]) or "no picture at all"
        raise DataError(
            f"no image in {folder} is named by an item id: there is {seen}; expected for example "
            f"{raw_item_ids[0]}.jpg ({', '.join(sorted(SUFFIXES))})."
        )
    pairs = groupby(found, key=lambda pair: pair[0])
    for files_of_item in ([file.name for _, file in pair] for _, pair in pairs):
        if len(files_of_item) > 1:
            raise DataError(
                f"images in {folder}: {' and '.join(files_of_item)} name the same item; keep one."
            )
    empty = [file.name for _, file in found if file.stat().st_size == 0]
    if empty:
        raise DataError(
            f"images in {folder}: {len(empty)} empty file(s), the first {', '.join(empty[:5])}."
        )
    return found, len(files) - len(found)


def write_images(target: Path, found: list[tuple[int, Path]]) -> int:
    """Write images.parquet (item_id, file, bytes), a few hundred at a time; returns its bytes."""
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


def copy_images(connection: DuckDBPyConnection, source: Path, target: Path) -> dict[str, int]:
    """Write images.parquet out of Parquet with `item_id`, the raw id, and `bytes`; returns counts.

    Raises:
        DataError: no Parquet, a column is missing, no picture matches, two match one item, or one
            is empty.
    """
    import duckdb

    given = f"read_parquet({literal(source)})"
    try:
        columns = column_types(connection, given)
    except duckdb.Error as error:
        raise DataError(
            f"{source} is no Parquet file, or a damaged one; --images takes a folder of "
            "<item id>.jpg, or Parquet of item_id and bytes."
        ) from error
    missing = [name for name in ("item_id", "bytes") if name not in columns]
    if missing:
        raise DataError(
            f"{source} has no column {' and no '.join(missing)}; images as Parquet need item_id "
            "and bytes."
        )
    connection.execute(
        f"""CREATE VIEW pictures AS SELECT item_ids.item_id, pictures.item_id AS raw_id, bytes
        FROM {given} AS pictures
        LEFT JOIN item_ids ON item_ids.raw_id::VARCHAR = pictures.item_id::VARCHAR"""
    )
    images, distinct, unmatched, empty, size = one_row(
        connection,
        """SELECT count(item_id), count(DISTINCT item_id), count(*) - count(item_id),
        count(*) FILTER (item_id IS NOT NULL AND coalesce(octet_length(bytes), 0) = 0),
        coalesce(sum(octet_length(bytes)) FILTER (item_id IS NOT NULL), 0)::BIGINT FROM pictures""",
    )
    if not images:
        raise DataError(f"no image in {source} belongs to an item: no item_id matches.")
    if distinct < images:
        twice = "SELECT any_value(raw_id) FROM pictures WHERE item_id IS NOT NULL "
        twice += "GROUP BY item_id HAVING count(*) > 1 ORDER BY item_id LIMIT 1"
        item = scalar(connection, twice)
        raise DataError(f"{source}: item {item} has more than one image; keep one.")
    if empty:
        raise DataError(f"{source}: {empty} images are empty.")
    connection.execute(
        f"""COPY (SELECT item_id, raw_id || '.jpg' AS file, bytes FROM pictures
        WHERE item_id IS NOT NULL ORDER BY item_id)
        TO {literal(target)} (FORMAT parquet, COMPRESSION uncompressed)"""
    )
    return {"images": images, "image_bytes": size, "images_unmatched": unmatched}
