"""Items of a page: a name, and a small picture if there is one."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ctrbench import impressions
from ctrbench.errors import DataError
from ctrbench.figures import without_controls
from ctrbench.pretraining.pictures import Pictures, open_pictures
from ctrbench.schema import DatasetManifest
from ctrbench.workspace import Workspace

PIXELS = 96  # height and width of a thumbnail
QUALITY = 80  # of JPEG
LONGEST = 80  # characters of a name


@dataclass(frozen=True)
class Thumbnail:
    """One item: `source` is a data URI, or empty if the item has no picture."""

    name: str
    source: str


@dataclass
class Thumbnails:
    """The items of a data set; each picture is encoded once."""

    names: list[str]  # of item 0, 1, ...
    pictures: Pictures | None
    problem: str  # a sentence on why there are no pictures; empty if there are
    _encoded: dict[int, str] = field(default_factory=dict)

    def of(self, items: Iterable[int]) -> tuple[Thumbnail, ...]:
        """Return thumbnails; item 0 and items without a picture have an empty frame."""
        return tuple(self._one(item) for item in items)

    def _one(self, item: int) -> Thumbnail:
        known = 0 < item < len(self.names)
        name = self.names[item] if known else "unknown item"
        if not known or self.pictures is None or not self.pictures.usable[item]:
            return Thumbnail(name, "")
        if item not in self._encoded:
            (pixels,) = self.pictures.pixels(np.array([item]), PIXELS)
            self._encoded[item] = _data_uri(pixels)
        return Thumbnail(name, self._encoded[item])


def open_thumbnails(workspace: Workspace, manifest: DatasetManifest) -> Thumbnails:
    """Return the thumbnails of a data set, named by the first text field of items or by raw id.

    Args:
        workspace: The workspace that holds the data set.
        manifest: The manifest of the data set.

    Raises:
        StoreError: The record is damaged, or the cache cannot be written.
    """
    ids = impressions.raw_item_ids(workspace, manifest.name)
    texts = [one.name for one in manifest.fields if one.of == "item" and one.kind == "text"]
    titles = impressions.item_texts(workspace, manifest.name, texts[0]) if texts else []
    named = [
        plain(f"{titles[at]} ({raw})" if titles and titles[at] else f"item {raw}")
        for at, raw in enumerate(ids)
    ]
    try:
        pictures, problem = open_pictures(workspace, manifest), ""
    except DataError as error:
        pictures = None
        problem = f"The data set has no pictures to show: {error}" if manifest.has_images else ""
        problem = problem or "The data set has no images."
    return Thumbnails(["unknown item", *named], pictures, problem)


def plain(text: str, longest: int = LONGEST) -> str:
    r"""Return a text without control characters, truncated if it is long.

    Args:
        text: Any text.
        longest: Maximum number of characters, at least 1.

    >>> plain("a\x1b[31mb")
    'a�[31mb'
    """
    clean = without_controls(text)
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def _data_uri(pixels: np.ndarray) -> str:
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode("ascii")
