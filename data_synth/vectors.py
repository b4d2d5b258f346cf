"""Embedding versions of known quality: from the style itself down to what knows nothing."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ctrbench.seeding import stream
from data_synth.world import KINDS, TRAITS, World

WIDTH = 48  # D, of every version that is not made from pictures
NOISE_RATIOS = (2, 0.5, 0.125)  # signal over noise of the versions `noisy_...`, in energy
SOURCE_NOISE = 0.3  # length of the noise around a source's own vector
BINS = 4  # of each colour channel of the histogram
PIXELS = 8  # width and height of the downsampled picture

Version = Callable[[World], np.ndarray]


def with_image(world: World) -> np.ndarray:
    """The rows of Items (P,) that have an image, ascending; the others were drawn blindly."""
    count = world.config.items
    missing = round(count * world.config.without_image)
    return np.sort(stream(world.config.seed, "without_image").permutation(count)[missing:])


def oracle(world: World) -> np.ndarray:
    """The style itself (I, D), seen through an orthogonal map that keeps every cosine."""
    normal = stream(world.config.seed, "map").normal(size=(WIDTH, TRAITS))
    return world.items.style @ np.linalg.qr(normal).Q.T.astype(np.float32)


def noisy(world: World, ratio: float) -> np.ndarray:
    """The oracle (I, D) under Gaussian noise of 1 / `ratio` times its energy."""
    noise = _normal(world, f"noisy_{ratio:g}")
    return oracle(world) + noise / np.float32(np.sqrt(ratio * WIDTH))


def random(world: World) -> np.ndarray:
    """Gaussian vectors (I, D) of about unit length that know nothing."""
    return _normal(world, "random") / np.float32(np.sqrt(WIDTH))


def constant(world: World) -> np.ndarray:
    """One vector (I, D) for every item."""
    vector = stream(world.config.seed, "vectors", "constant").normal(size=WIDTH)
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    return np.tile(unit, (world.config.items, 1))


def source(world: World) -> np.ndarray:
    """Where the picture comes from (I, D), and noise: a unit vector per source."""
    each = stream(world.config.seed, "vectors", "sources").normal(size=(WIDTH, WIDTH))
    centres = np.linalg.qr(each).Q.astype(np.float32)
    noise = _normal(world, "source") * np.float32(SOURCE_NOISE / np.sqrt(WIDTH))
    return centres[world.items.source] + noise


def histogram(pixels: np.ndarray) -> np.ndarray:
    """How often each colour occurs in a picture: 4 x 4 x 4 shares.

    Args:
        pixels: (height, width, 3) uint8.
    """
    level = (pixels.reshape(-1, 3) // (256 // BINS)).astype(np.int64)
    code = (level[:, 0] * BINS + level[:, 1]) * BINS + level[:, 2]
    counts = np.bincount(code, minlength=BINS**3)
    return (counts / counts.sum()).astype(np.float32)


def downsampled(pixels: np.ndarray) -> np.ndarray:
    """The picture at 8 x 8 pixels, as (192,) numbers in 0 .. 1.

    Args:
        pixels: (height, width, 3) uint8, both multiples of 8.
    """
    height, width, _ = pixels.shape
    blocks = pixels.reshape(PIXELS, height // PIXELS, PIXELS, width // PIXELS, 3)
    return (blocks.mean(axis=(1, 3)).ravel() / 255).astype(np.float32)


FROM_PICTURES = {"histogram": histogram, "pixels": downsampled}


def versions(world: World) -> dict[str, Version]:
    """The versions of a world by name, those made from pictures apart."""
    found: dict[str, Version] = {"oracle": oracle}
    found |= {f"noisy_{ratio:g}": partial(noisy, ratio=ratio) for ratio in NOISE_RATIOS}
    found |= {"random": random, "constant": constant}
    if KINDS[world.config.kind].source_says:
        found["source"] = source
    return found


def from_pictures(pictures: Path) -> dict[str, np.ndarray]:
    """The versions that are made from pictures, a row per picture, in the order of the file.

    Args:
        pictures: Parquet with a column `bytes` of JPEG files.
    """
    rows: dict[str, list[np.ndarray]] = {name: [] for name in FROM_PICTURES}
    for pixels in _decoded(pictures):
        for name, make in FROM_PICTURES.items():
            rows[name].append(make(pixels))
    return {name: np.stack(vectors) for name, vectors in rows.items()}


def _decoded(pictures: Path) -> Iterator[np.ndarray]:
    import pyarrow.parquet as pq
    from PIL import Image

    with pq.ParquetFile(pictures) as file:
        for batch in file.iter_batches(1024, columns=["bytes"]):
            for stored in batch.column(0).to_pylist():
                yield np.asarray(Image.open(io.BytesIO(stored)))


def _normal(world: World, name: str) -> np.ndarray:
    shape = (world.config.items, WIDTH)
    return stream(world.config.seed, "vectors", name).standard_normal(shape, dtype=np.float32)
