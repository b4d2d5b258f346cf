"""Embedding versions of known quality, from the true style to pure noise."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ctrbench.seeding import stream
from data_synth.world import KINDS, TRAITS, World

WIDTH = 48  # D of all versions that are not made from pictures
NOISE_RATIOS = (2, 0.5, 0.125)  # energy of signal over noise of the versions `noisy_...`
SOURCE_NOISE = 0.3  # length of the noise around the vector of a source
BINS = 4  # per colour channel of the histogram
PIXELS = 8  # width and height of the downsampled picture

Version = Callable[[World], np.ndarray]


def with_image(world: World) -> np.ndarray:
    """Return (P,) int, ascending rows of the items with an image; missing ones are random."""
    count = world.config.items
    missing = round(count * world.config.without_image)
    return np.sort(stream(world.config.seed, "without_image").permutation(count)[missing:])


def oracle(world: World) -> np.ndarray:
    """Return (I, D) float32, the style under an orthogonal map, which preserves cosines."""
    normal = stream(world.config.seed, "map").normal(size=(WIDTH, TRAITS))
    return world.items.style @ np.linalg.qr(normal).Q.T.astype(np.float32)


def noisy(world: World, ratio: float) -> np.ndarray:
    """Return (I, D) float32, the oracle plus Gaussian noise.

    Args:
        world: The hidden truth.
        ratio: The energy of the signal over that of the noise, above 0.
    """
    noise = _normal(world, f"noisy_{ratio:g}")
    return oracle(world) + noise / np.float32(np.sqrt(ratio * WIDTH))


def random(world: World) -> np.ndarray:
    """Return (I, D) float32, Gaussian vectors of about unit length without information."""
    return _normal(world, "random") / np.float32(np.sqrt(WIDTH))


def constant(world: World) -> np.ndarray:
    """Return (I, D) float32, the same vector for every item."""
    vector = stream(world.config.seed, "vectors", "constant").normal(size=WIDTH)
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    return np.tile(unit, (world.config.items, 1))


def source(world: World) -> np.ndarray:
    """Return (I, D) float32, a unit vector per source of the picture, plus noise."""
    each = stream(world.config.seed, "vectors", "sources").normal(size=(WIDTH, WIDTH))
    centres = np.linalg.qr(each).Q.astype(np.float32)
    noise = _normal(world, "source") * np.float32(SOURCE_NOISE / np.sqrt(WIDTH))
    return centres[world.items.source] + noise


def histogram(pixels: np.ndarray) -> np.ndarray:
    """Return (64,) float32, the share of each of 4 x 4 x 4 colours in a picture.

    Args:
        pixels: (height, width, 3) uint8.
    """
    level = (pixels.reshape(-1, 3) // (256 // BINS)).astype(np.int64)
    code = (level[:, 0] * BINS + level[:, 1]) * BINS + level[:, 2]
    counts = np.bincount(code, minlength=BINS**3)
    return (counts / counts.sum()).astype(np.float32)


def downsampled(pixels: np.ndarray) -> np.ndarray:
    """Return (192,) float32 in [0, 1], the picture at 8 x 8 pixels.

    Args:
        pixels: (height, width, 3) uint8, both multiples of 8.
    """
    height, width, _ = pixels.shape
    blocks = pixels.reshape(PIXELS, height // PIXELS, PIXELS, width // PIXELS, 3)
    return (blocks.mean(axis=(1, 3)).ravel() / 255).astype(np.float32)


FROM_PICTURES = {"histogram": histogram, "pixels": downsampled}


def versions(world: World) -> dict[str, Version]:
    """Return the versions of a world by name, without those made from pictures."""
    found: dict[str, Version] = {"oracle": oracle}
    found |= {f"noisy_{ratio:g}": partial(noisy, ratio=ratio) for ratio in NOISE_RATIOS}
    found |= {"random": random, "constant": constant}
    if KINDS[world.config.kind].source_correlation:
        found["source"] = source
    return found


def from_pictures(pictures: Path) -> dict[str, np.ndarray]:
    """Return the versions made from pictures, one row per picture, in the order of the file.

    Args:
        pictures: A Parquet file with a column `bytes` of JPEG files.
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
