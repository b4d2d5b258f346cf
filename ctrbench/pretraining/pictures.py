"""Pictures of a data set: one file of bytes on disk, decoded on demand."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctrbench.arrays import save_array
from ctrbench.atomic import write_json
from ctrbench.caches import kept
from ctrbench.errors import DataError, first_line
from ctrbench.identity import ContentHash
from ctrbench.impressions.columns import table_errors
from ctrbench.schema import DatasetManifest
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from PIL import Image

FORMATS = (
    "AVIF",
    "BMP",
    "GIF",
    "JPEG",
    "PNG",
    "TIFF",
    "WEBP",
)  # detected by content, not by file name
READING = 2  # version of the decoding, part of the cache key; raise it when decoding changes
LARGEST = 100_000_000  # pixels; larger pictures are rejected
LONGEST = 20  # largest aspect ratio; longer pictures are cropped
MARGIN = 256 / 224  # size before the centre crop, relative to the size after
WRITTEN_AT_A_TIME = 64
EXAMPLES = 5


@dataclass(frozen=True)
class Pictures:
    """The decodable pictures of a data set, by item."""

    start: np.ndarray  # (V + 1,) int64: bytes of item i are [start[i], start[i + 1])
    data: np.ndarray  # uint8, a memory map
    usable: np.ndarray  # (V,) bool: present and decodable
    unusable: dict[str, str]  # raw file name -> problem
    content_hash: str

    def pixels(self, item_id: np.ndarray, size: int) -> np.ndarray:
        """Return decoded pictures, (n, size, size, 3) uint8, decoded in threads.

        Args:
            item_id: (n,) int, items with a usable picture.
            size: Height and width in pixels.
        """
        with ThreadPoolExecutor() as pool:
            return np.stack(list(pool.map(lambda item: self._decoded(item, size), item_id)))

    def _decoded(self, item: int, size: int) -> np.ndarray:
        return cropped(decode(self.data[self.start[item] : self.start[item + 1]].tobytes()), size)


def decode(data: bytes) -> Image.Image:
    """Return an RGB picture; transparency becomes white, an animation becomes its first frame.

    16-bit greyscale is converted to 8 bits. 32-bit greyscale is rejected: its range is unknown.

    Raises:
        ValueError: The bytes are not a picture of `FORMATS`, damaged or too large, or the range of
            the values is unknown.
    """
    from PIL import Image, UnidentifiedImageError

    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]  # some versions of Pillow lack AVIF
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LARGEST is lower than the limit of the warning
        try:
            image = Image.open(io.BytesIO(data), formats=known)
            if image.width * image.height > LARGEST:
                raise ValueError(f"{image.width} x {image.height} pixels exceed the limit")
            image.load()
        except UnidentifiedImageError as error:
            raise ValueError(f"not a picture of {', '.join(known)}") from error
        except (ValueError, MemoryError):
            raise
        except Exception as error:  # decoders raise various classes
            raise ValueError(first_line(error)) from error
    if image.mode in ("I", "F"):
        raise ValueError("32-bit greyscale has no fixed range; save it with 8 or 16 bits")
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def cropped(image: Image.Image, size: int) -> np.ndarray:
    """Return the scaled centre crop of a picture, (size, size, 3) uint8.

    Args:
        image: An RGB picture.
        size: Height and width in pixels.
    """
    from PIL import Image

    if image.size == (size, size):
        return np.asarray(image)
    longest = LONGEST * min(image.size)
    if max(image.size) > longest:
        kept = [min(side, longest) for side in image.size]
        left, top = ((side - own) // 2 for side, own in zip(image.size, kept, strict=True))
        image = image.crop((left, top, left + kept[0], top + kept[1]))
    scale = MARGIN * size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    return np.asarray(image.crop((left, top, left + size, top + size)))


def open_pictures(workspace: Workspace, manifest: DatasetManifest) -> Pictures:
    """Return all pictures of a data set; the first call decodes each picture once to check it.

    Args:
        workspace: The workspace.
        manifest: The manifest of the data set.

    Raises:
        DataError: The data set has no images, or none is decodable.
        StoreError: The record is damaged, or the cache cannot be written.
    """
    if not manifest.has_images:
        raise DataError(
            f"data set {manifest.name!r} has no images; import it with --images, or train on a "
            "registered version with --from-version."
        )
    record = workspace.data / manifest.name / "images.parquet"
    stamp = f"{manifest.content_hash}-{manifest.created.replace(':', '')}-{READING}"
    target = workspace.cache / "pictures" / stamp
    items = manifest.counts["items"] + 1
    folder = kept(workspace, target, lambda empty: _flatten(record, empty, items))
    return _open(folder, manifest.name)


def _flatten(record: Path, folder: Path, items: int) -> None:
    """Write the bytes of usable pictures to one file, and their positions."""
    length, unusable, content = np.zeros(items, np.int64), {}, ContentHash()
    with (folder / "pictures.bin").open("wb") as file, ThreadPoolExecutor() as pool:
        for item_id, name, data in _stored(record, pool):
            if isinstance(data, str):
                unusable[name] = data
                continue
            file.write(data)
            length[item_id] = len(data)
            content.array(str(item_id), np.frombuffer(data, np.uint8))
    save_array(folder / "start.npy", np.concatenate([[0], np.cumsum(length)]))
    write_json(
        folder / "pictures.json", {"unusable": unusable, "content_hash": content.hexdigest()}
    )


def _stored(record: Path, pool: ThreadPoolExecutor) -> Iterator[tuple[int, str, bytes | str]]:
    """Yield item, file name, and the bytes or a problem, in the order of items."""
    import pyarrow.parquet as pq

    def checked(data: bytes) -> bytes | str:
        try:
            decode(data)
        except ValueError as error:
            return str(error)
        return data

    with table_errors(record), pq.ParquetFile(record) as parquet:
        for batch in parquet.iter_batches(WRITTEN_AT_A_TIME):
            columns = batch.to_pydict()
            yield from zip(
                columns["item_id"],
                columns["file"],
                pool.map(checked, columns["bytes"]),
                strict=True,
            )


def _open(folder: Path, dataset: str) -> Pictures:
    import json

    facts = json.loads((folder / "pictures.json").read_text(encoding="utf-8"))
    start = np.load(folder / "start.npy")
    usable = np.diff(start) > 0
    if not usable.any():
        raise DataError(
            f"none of the {len(facts['unusable'])} images of {dataset!r} can be decoded."
        )
    data = np.memmap(folder / "pictures.bin", np.uint8, mode="r")
    return Pictures(start, data, usable, facts["unusable"], facts["content_hash"])
