"""A sheet of pictures: items, each beside those that a version holds nearest."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctrbench.atomic import atomic_file
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
    """
    from PIL import Image

    both = EmbeddingTable(table.vectors, np.asarray(table.has_vector) & pictures.usable)
    known = np.flatnonzero(both.has_vector)
    items = np.sort(stream(0, "sheet").permutation(known)[:rows])
    near = nearest(both, items, columns)
    width = (columns + 1) * (size + GAP) + WIDE_GAP
    sheet = Image.new("RGB", (width, len(items) * (size + GAP)), "white")
    for row, (item, others) in enumerate(zip(items, near, strict=True)):
        shown = np.concatenate([[item], others[others >= 0]])
        for column, pixels in enumerate(pictures.pixels(shown, size)):
            left = column * (size + GAP) + WIDE_GAP * (column > 0)
            sheet.paste(Image.fromarray(pixels), (left, row * (size + GAP)))
    with atomic_file(path) as temporary:
        sheet.save(temporary)
    return len(items)
