"""Sheets of pictures: items and their nearest neighbours in a version."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ctrbench.atomic import atomic_file
from ctrbench.errors import ConfigError, DataError
from ctrbench.pretraining.pictures import Pictures
from ctrbench.quality import nearest
from ctrbench.schema import EmbeddingTable
from ctrbench.seeding import stream

GAP = 4  # pixels between pictures
WIDE_GAP = 16  # after the first picture of a row


def write_sheet(
    path: Path, table: EmbeddingTable, pictures: Pictures, rows: int, columns: int, size: int
) -> int:
    """Draw random items and their nearest neighbours; the item itself comes first.

    Args:
        path: The file; its extension determines the format.
        table: The table of the version.
        pictures: The pictures of the data set.
        rows: The largest number of items.
        columns: The number of neighbours of each item.
        size: Height and width of each picture in pixels.

    Returns:
        The number of drawn items; all have a vector and a picture.

    Raises:
        ConfigError: The extension is not a picture format.
        DataError: No item has both a vector and a picture.
        StoreError: The file cannot be written.
    """
    _require_format(path)
    drawable = EmbeddingTable(table.vectors, np.asarray(table.has_vector) & pictures.usable)
    known = np.flatnonzero(drawable.has_vector)
    if not len(known):
        raise DataError("no item has both a vector and a picture, so there is nothing to draw.")
    items = np.sort(stream(0, "sheet").permutation(known)[:rows])
    near = nearest(drawable, items, columns)
    draw_rows(path, np.column_stack([items, near]), pictures, size, WIDE_GAP)
    return len(items)


def draw_rows(
    path: Path, items: np.ndarray, pictures: Pictures, size: int, after_first: int = 0
) -> None:
    """Draw a grid of pictures; a cell without item or picture stays white.

    Args:
        path: The file; its extension determines the format.
        items: (n, columns) int, item ids; -1 for an empty cell.
        pictures: The pictures of the data set.
        size: Height and width of each picture in pixels.
        after_first: Additional pixels between the first and the second column.

    Raises:
        ConfigError: The extension is not a picture format.
        StoreError: The file cannot be written.
    """
    from PIL import Image

    _require_format(path)
    height, width = (count * (size + GAP) for count in items.shape)
    sheet = Image.new("RGB", (width + after_first, height), "white")
    for row, shown in enumerate(items):
        columns = np.flatnonzero((shown >= 0) & pictures.usable[shown.clip(min=0)])
        if not len(columns):
            continue
        for column, pixels in zip(columns, pictures.pixels(shown[columns], size), strict=True):
            left = int(column) * (size + GAP) + (after_first if column else 0)
            sheet.paste(Image.fromarray(pixels), (left, row * (size + GAP)))
    with atomic_file(path) as temporary:
        sheet.save(temporary)


def _require_format(path: Path) -> None:
    """Check that Pillow can write pictures with this extension."""
    from PIL import Image

    try:
        kind = Image.registered_extensions()[path.suffix.lower()]
        Image.new("RGB", (1, 1)).save(io.BytesIO(), kind)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(
            f"{path.name!r} is not a picture format that can be written; use .png or .jpg."
        ) from error
