"""Sheets of pictures: items, each beside those that a version holds nearest."""

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
WIDE_GAP = 16  # after the first of a row


def write_sheet(
    path: Path, table: EmbeddingTable, pictures: Pictures, rows: int, columns: int, size: int
) -> int:
    """Draw items at random with their nearest neighbours, the item itself first.

    Args:
        path: of the picture; its ending says the format.
        table: of the version.
        pictures: of the data set.
        rows: items at most.
        columns: neighbours of each.
        size: pixels, height and width of each picture.

    Returns:
        How many items were drawn; only such as have a vector and a picture.

    Raises:
        ConfigError: no picture can be written under this ending.
        DataError: no item has both a vector and a picture.
        StoreError: the file cannot be written.
    """
    _require_format(path)
    both = EmbeddingTable(table.vectors, np.asarray(table.has_vector) & pictures.usable)
    known = np.flatnonzero(both.has_vector)
    if not len(known):
        raise DataError("no item has both a vector and a picture: there is nothing to draw.")
    items = np.sort(stream(0, "sheet").permutation(known)[:rows])
    near = nearest(both, items, columns)
    draw_rows(path, np.column_stack([items, near]), pictures, size, WIDE_GAP)
    return len(items)


def draw_rows(
    path: Path, items: np.ndarray, pictures: Pictures, size: int, after_first: int = 0
) -> None:
    """Draw (n, columns) items; a place stays white where there is none (-1) or it has no picture.

    Args:
        path: of the picture; its ending says the format.
        items: their ids.
        pictures: of the data set.
        size: pixels, height and width of each picture.
        after_first: pixels between the first column and the others, beside the usual gap.

    Raises:
        ConfigError: no picture can be written under this ending.
        StoreError: the file cannot be written.
    """
    from PIL import Image

    _require_format(path)
    height, width = (count * (size + GAP) for count in items.shape)
    sheet = Image.new("RGB", (width + after_first, height), "white")
    for row, others in enumerate(items):
        columns = np.flatnonzero((others >= 0) & pictures.usable[others.clip(min=0)])
        if not len(columns):
            continue
        for column, pixels in zip(columns, pictures.pixels(others[columns], size), strict=True):
            left = int(column) * (size + GAP) + (after_first if column else 0)
            sheet.paste(Image.fromarray(pixels), (left, row * (size + GAP)))
    with atomic_file(path) as temporary:
        sheet.save(temporary)


def _require_format(path: Path) -> None:
    """Write one pixel, to see whether pictures can be written under this ending."""
    from PIL import Image

    try:
        kind = Image.registered_extensions()[path.suffix.lower()]
        Image.new("RGB", (1, 1)).save(io.BytesIO(), kind)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(
            f"no picture can be written as {path.name!r}: choose a name that ends in .png or .jpg."
        ) from error
