"""Draws the picture of an item from its hidden traits, with nuisance variation."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import atan2, erf, hypot, pi, sqrt
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ctrbench.atomic import atomic_file
from ctrbench.seeding import stream
from data_synth.garments import GARMENTS, Cut, Outline, Point
from data_synth.truth import WriteProgress
from data_synth.world import TRAITS, Items, World

OVERSAMPLING = 2  # pictures are drawn larger and reduced, which smooths edges
CHUNK = 128  # pictures per block
SHEET_COLUMNS = 12


@dataclass(frozen=True)
class Look:
    """The visible form of a style: cut, colour, pattern and texture."""

    length: float  # 0 short .. 1 long
    fit: float  # 0 slim .. 1 wide
    hue: float  # 0 .. 1, circular
    saturation: float
    pattern: int  # index of PATTERNS
    contrast: float  # 0 invisible pattern .. 1
    texture: float  # 0 smooth with a sheen .. 1 coarse knit
    lightness: float  # 0 .. 1


@dataclass(frozen=True)
class Nuisance:
    """Variation of a picture that is independent of style and drawn per item."""

    turn: float  # radians
    zoom: float
    shift: Point
    flip: bool
    crop: tuple[float, float, float, float]  # share removed at left, top, right, bottom
    light: float  # brightness
    slope: Point  # gradient of the light across the picture
    warmth: float  # colour temperature of the light
    folds: tuple[float, float]  # phase and number of the folds
    tint: float  # tint of the background, within the range of its source
    noise: float  # standard deviation, of 255
    quality: int  # JPEG quality


def look(style: np.ndarray) -> Look:
    """Return the visible form of a style (d,); similar styles look similar.

    A coordinate of a random unit vector has standard deviation 1 / sqrt(d); the normal distribution
    function maps it to [0, 1].
    """
    spread = 1 / sqrt(TRAITS)
    length, fit, texture, lightness = (
        0.5 * (1 + erf(style[trait] / (spread * sqrt(2)))) for trait in (0, 1, 6, 7)
    )
    strong, bold = (min(hypot(style[a], style[a + 1]) / (2 * spread), 1.0) for a in (2, 4))
    hue, kind = (atan2(style[a + 1], style[a]) / (2 * pi) % 1 for a in (2, 4))
    return Look(
        length,
        fit,
        hue,
        0.25 + 0.70 * strong,
        int(kind * len(PATTERNS)) % len(PATTERNS),
        bold,
        texture,
        0.25 + 0.55 * lightness,
    )


def nuisance(seed: int, item: int) -> Nuisance:
    """Return the nuisance variation of an item's picture.

    Args:
        seed: The seed of the world.
        item: The row of the item.
    """
    rng = stream(seed, "picture", item)
    low, high = np.array(
        [
            *[(-0.14, 0.14), (0.80, 0.97), (-0.07, 0.07), (-0.05, 0.05), (0, 1)],
            *[(0, 0.08), (0, 0.06), (0, 0.08), (0, 0.06), (0.82, 1.14), (-0.16, 0.16)],
            *[(-0.16, 0.16), (-0.06, 0.06), (0, 2 * pi), (3, 6), (0, 1), (1, 7), (55, 93)],
        ]
    ).T
    v = rng.uniform(low, high).tolist()
    return Nuisance(
        turn=v[0],
        zoom=v[1],
        shift=(v[2], v[3]),
        flip=v[4] < 0.5,
        crop=(v[5], v[6], v[7], v[8]),
        light=v[9],
        slope=(v[10], v[11]),
        warmth=v[12],
        folds=(v[13], v[14]),
        tint=v[15],
        noise=v[16],
        quality=int(v[17]),
    )


def picture(items: Items, place: int, seed: int, item: int, size: int) -> bytes:
    """Return the JPEG of one item.

    Args:
        items: Some items of the world.
        place: The row of the item in `items`.
        seed: The seed of the world.
        item: The row of the item in the world, which determines the nuisance variation.
        size: Width and height in pixels.
    """
    taken = nuisance(seed, item)
    garment = GARMENTS[items.category[place] % len(GARMENTS)]
    seen = look(items.style[place])
    canvas = draw(garment(Cut(seen.length, seen.fit)), seen, taken, int(items.source[place]), size)
    grain = stream(seed, "grain", item).normal(scale=taken.noise, size=canvas.shape)
    pixels = np.clip(255 * canvas + grain, 0, 255).astype(np.uint8)
    stored = io.BytesIO()
    Image.fromarray(pixels).save(stored, "JPEG", quality=taken.quality)
    return stored.getvalue()


def write_pictures(
    target: Path, world: World, rows: np.ndarray, size: int, workers: int, progress: WriteProgress
) -> None:
    """Write pictures as Parquet (item_id, bytes), and a contact sheet as PNG beside it.

    Args:
        target: The Parquet file.
        world: The hidden truth.
        rows: (P,) int, the rows of Items.
        size: Width and height in pixels.
        workers: The number of processes.
        progress: Receives the number of drawn pictures.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema({"item_id": pa.int32(), "bytes": pa.binary()})
    wanted = _of_sheet(world.items, rows)
    shown: dict[int, bytes] = {}
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    with (
        atomic_file(target) as temporary,
        pq.ParquetWriter(temporary, schema, compression="none", use_dictionary=False) as writer,
    ):
        for done, drawn in enumerate(_drawn(world, chunks, size, workers)):
            table = pa.table([chunks[done] + 1, drawn], schema=schema)
            writer.write_table(table)
            found = zip(chunks[done].tolist(), drawn, strict=True)
            shown |= {item: stored for item, stored in found if item in wanted}
            progress("pictures", min((done + 1) * CHUNK, len(rows)), len(rows))
    with atomic_file(target.with_suffix(".png")) as temporary:
        sheet(world.items, shown, size).save(temporary, "PNG")


def sheet(items: Items, shown: dict[int, bytes], size: int) -> Image.Image:
    """Return a contact sheet with one row per style.

    Args:
        items: The items of the world.
        shown: JPEG bytes by row of Items.
        size: Width and height of a picture in pixels.
    """
    styles: dict[int, list[bytes]] = {}
    for item, stored in sorted(shown.items()):
        styles.setdefault(int(items.style_id[item]), []).append(stored)
    canvas = Image.new("RGB", (SHEET_COLUMNS * size, max(styles, default=0) * size + size), "white")
    for style, pictures in styles.items():
        for column, stored in enumerate(pictures[:SHEET_COLUMNS]):
            canvas.paste(Image.open(io.BytesIO(stored)), (column * size, style * size))
    return canvas


def _of_sheet(items: Items, rows: np.ndarray) -> set[int]:
    """Return the first items of every style."""
    first = [rows[items.style_id[rows] == style] for style in np.unique(items.style_id[rows])]
    return {int(item) for group in first for item in group[:SHEET_COLUMNS]}


def _drawn(
    world: World, chunks: list[np.ndarray], size: int, workers: int
) -> Iterator[list[bytes]]:
    """Yield the pictures of each chunk, in order."""
    draw_chunk = partial(_draw_chunk, world.config.seed, size)
    parts = [(rows, world.items.take(rows)) for rows in chunks]
    if workers == 1 or len(chunks) == 1:
        yield from map(draw_chunk, parts)
        return
    with ProcessPoolExecutor(min(workers, len(chunks)), get_context("forkserver")) as pool:
        yield from pool.map(draw_chunk, parts)


def _draw_chunk(seed: int, size: int, part: tuple[np.ndarray, Items]) -> list[bytes]:
    """Return the pictures of some rows and their items."""
    rows, items = part
    return [picture(items, place, seed, row, size) for place, row in enumerate(rows.tolist())]


def draw(outline: Outline, seen: Look, taken: Nuisance, source: int, size: int) -> np.ndarray:
    """Return (size, size, 3) float in [0, 1], the picture before noise and compression.

    Args:
        outline: The garment.
        seen: The visible form of the style.
        taken: The nuisance variation.
        source: The source, which determines the background.
        size: Width and height in pixels.
    """
    wide = size * OVERSAMPLING
    place = _place(taken, wide)
    cloth, trim, line = _masks(outline, place, wide)
    u, v = _garment_coordinates(taken, wide)
    colour = _cloth(seen, u, v)
    edge = _blurred(cloth, wide / 24)[..., None]  # cloth is darker at its edge
    phase, number = taken.folds
    fold = np.sin(number * 2 * u + 0.8 * np.sin(2.2 * v + phase) + phase)
    shade = 0.62 + 0.38 * edge + 0.045 * fold[..., None]
    colour = colour * shade
    colour = colour * (1 - 0.30 * trim[..., None]) * (1 - 0.62 * line[..., None])
    ground = _background(source, taken, wide)
    shadow = _blurred(np.roll(cloth, (wide // 32, wide // 40), (0, 1)), wide / 40)[..., None]
    canvas = ground * (1 - 0.28 * shadow)
    canvas = canvas * (1 - cloth[..., None]) + colour * cloth[..., None]
    return _shrunk(np.clip(canvas * _light(taken, wide), 0, 1), size)


def _place(taken: Nuisance, wide: int) -> Callable[[Point], Point]:
    """Return the map from garment coordinates to pixels."""
    left, top, right, bottom = taken.crop
    cos, sin, side = np.cos(taken.turn), np.sin(taken.turn), -1 if taken.flip else 1

    def placed(point: Point) -> Point:
        x, y = side * point[0] * taken.zoom, point[1] * taken.zoom
        x, y = cos * x - sin * y + taken.shift[0], sin * x + cos * y + taken.shift[1]
        across = ((x + 1) / 2 - left) / (1 - left - right)
        down = ((y + 1) / 2 - top) / (1 - top - bottom)
        return across * wide, down * wide

    return placed


def _garment_coordinates(taken: Nuisance, wide: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (wide, wide) garment coordinates x and y of each pixel, used for patterns."""
    left, top, right, bottom = taken.crop
    at = (np.arange(wide, dtype=np.float32) + 0.5) / wide
    x = 2 * (left + at * (1 - left - right)) - 1 - taken.shift[0]
    y = 2 * (top + at * (1 - top - bottom)) - 1 - taken.shift[1]
    cos, sin, side = np.cos(taken.turn), np.sin(taken.turn), -1 if taken.flip else 1
    u = side * (cos * x[None, :] + sin * y[:, None]) / taken.zoom
    v = (-sin * x[None, :] + cos * y[:, None]) / taken.zoom
    return u.astype(np.float32), v.astype(np.float32)


def _masks(
    outline: Outline, place: Callable[[Point], Point], wide: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the masks of cloth, trims and lines: (wide, wide) each, 0 or 1."""
    cloth, trim, line = (Image.new("L", (wide, wide)) for _ in range(3))
    for image, polygons, fill in (
        (cloth, outline.cloth, 1),
        (cloth, outline.holes, 0),
        (trim, outline.trims, 1),
        (cloth, outline.trims, 1),
    ):
        for polygon in polygons:
            ImageDraw.Draw(image).polygon([place(point) for point in polygon], fill=fill)
    pen = ImageDraw.Draw(line)
    for seam in outline.seams:
        pen.line([place(point) for point in seam], fill=1, width=max(wide // 90, 1))
    for button in outline.buttons:
        x, y = place(button)
        radius = wide / 70
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
    for polygon in outline.trims:
        around = [place(point) for point in (*polygon, polygon[0])]
        pen.line(around, fill=1, width=max(wide // 130, 1))
    cloth, trim, line = (np.asarray(image, np.float32) for image in (cloth, trim, line))
    return cloth, trim, line * cloth


def _cloth(seen: Look, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return (wide, wide, 3), the cloth: two colours in a pattern, and the weave."""
    first = np.array(colorsys.hls_to_rgb(seen.hue, seen.lightness, seen.saturation))
    other = 0.92 if seen.lightness < 0.5 else 0.10
    second = np.array(colorsys.hls_to_rgb((seen.hue + 0.08) % 1, other, seen.saturation))
    where = (seen.contrast * PATTERNS[seen.pattern](u, v)).astype(np.float32)[..., None]
    colour = (1 - where) * first.astype(np.float32) + where * second.astype(np.float32)
    knit = np.sin(46 * u + 2.5 * np.sin(40 * v)) * np.sin(46 * v)
    coarse = max(2 * seen.texture - 1, 0.0)
    sheen = max(1 - 2 * seen.texture, 0.0)
    gloss = np.exp(-(((u + 0.35 * v + 0.1) / 0.13) ** 2))
    return np.clip(
        colour * (1 + 0.34 * coarse * knit)[..., None] + (0.34 * sheen * gloss)[..., None], 0, 1
    )


def _plain(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.zeros_like(u)


def _stripes(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sin(22 * v) > 0.1


def _dots(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    across, down = (np.abs((7 * at) % 2 - 1) for at in (u, v))
    return across**2 + down**2 < 0.34


def _checks(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return 0.5 * (np.sin(17 * u) > 0.2) + 0.5 * (np.sin(17 * v) > 0.2)


def _diagonals(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sin(16 * (u + v)) > 0.2


def _zigzag(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sin(20 * v + 4 * np.abs((5 * u) % 2 - 1)) > 0.1


PATTERNS = (_plain, _stripes, _dots, _checks, _diagonals, _zigzag)


def _background(source: int, taken: Nuisance, wide: int) -> np.ndarray:
    """Return (wide, wide, 3), the background, which depends on the source."""
    at = np.linspace(-1, 1, wide, dtype=np.float32)
    x, y = np.meshgrid(at, at)
    tint = taken.tint
    place = source % 4
    if place == 0:  # a studio: white
        level, hue, saturation = 0.93 + 0.05 * tint + 0 * x, 0.6, 0.02
    elif place == 1:  # a grey backdrop, lit from above
        level, hue, saturation = 0.62 + 0.14 * tint - 0.14 * y, 0.6, 0.04
    elif place == 2:  # a wooden wall: boards
        boards = ((3.5 * x + tint) % 1 < 0.06).astype(np.float32)
        grain = 0.03 * np.sin(40 * x + 3 * np.sin(4 * y + 6 * tint))
        level, hue, saturation = 0.60 + grain - 0.16 * boards, 0.08, 0.35
    else:  # outdoors: sky over ground
        sky = (y < 0.35 + 0.2 * tint).astype(np.float32)
        level, hue, saturation = 0.55 + 0.28 * sky - 0.05 * y, 0.55 - 0.22 * (1 - sky), 0.30
    return _hls(hue, np.clip(level, 0, 1), saturation)


def _hls(hue: float | np.ndarray, lightness: np.ndarray, saturation: float) -> np.ndarray:
    """Convert hue, lightness and saturation to (h, w, 3) colours."""
    reach = saturation * np.minimum(lightness, 1 - lightness)
    turned = [(offset + 12 * np.asarray(hue)) % 12 for offset in (0, 8, 4)]
    return np.stack(
        [lightness - reach * np.clip(np.minimum(k - 3, 9 - k), -1, 1) for k in turned], axis=-1
    ).astype(np.float32)


def _light(taken: Nuisance, wide: int) -> np.ndarray:
    at = np.linspace(-1, 1, wide, dtype=np.float32)
    fall = taken.light * (1 + taken.slope[0] * at[None, :] + taken.slope[1] * at[:, None])
    return fall[..., None] * np.array([1 + taken.warmth, 1, 1 - taken.warmth], np.float32)


def _blurred(mask: np.ndarray, radius: float) -> np.ndarray:
    image = Image.fromarray((255 * mask).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.BoxBlur(radius)), np.float32) / 255


def _shrunk(canvas: np.ndarray, size: int) -> np.ndarray:
    """Average square blocks of pixels: (wide, wide, 3) -> (size, size, 3)."""
    times = len(canvas) // size
    return canvas.reshape(size, times, size, times, 3).mean(axis=(1, 3))
