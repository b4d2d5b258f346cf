"""Outlines of garments: one function of the cut per category.

Coordinates: the origin is the centre of the garment, x points right and y down, both from -1 to 1.
Functions define the right half; `mirrored` adds the left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Cut:
    """The cut of a garment."""

    length: float  # 0 short .. 1 long
    fit: float  # 0 slim .. 1 wide


@dataclass(frozen=True)
class Outline:
    """The polygons of a garment and the details on it."""

    cloth: tuple[tuple[Point, ...], ...]  # polygons
    holes: tuple[tuple[Point, ...], ...] = ()  # polygons that show the background
    seams: tuple[tuple[Point, ...], ...] = ()  # lines
    trims: tuple[tuple[Point, ...], ...] = ()  # darker polygons: collar, cuff, waistband
    buttons: tuple[Point, ...] = ()


def mirrored(half: list[Point]) -> tuple[Point, ...]:
    """Return a closed polygon from its right half, listed from top to bottom."""
    return (*half, *((-x, y) for x, y in reversed(half)))


def _both(part: tuple[Point, ...]) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    return part, tuple((-x, y) for x, y in part)


def _torso(
    hem_y: float, hem_x: float, waist_x: float, sleeve: float, neck: float
) -> tuple[Point, ...]:
    """Return a body with sleeves: `sleeve` from 0 (none) to 1 (hip), `neck` a half-width."""
    shoulder, top = 0.40, -0.66
    half = [(neck, top - 0.06), (shoulder, top)]
    if sleeve > 0:
        outer = (shoulder + 0.06 + 0.40 * sleeve, top + 0.16 + 0.86 * sleeve)
        half += [outer, (outer[0] - 0.17, outer[1] + 0.06)]
        half += [(waist_x + 0.01, -0.22)]
    else:
        half = [(neck, top - 0.06), (shoulder - 0.12, top - 0.02), (waist_x - 0.08, -0.36)]
        half += [(waist_x, -0.22)]
    return mirrored([*half, (waist_x, 0.08), (hem_x, hem_y)])


def _round_neck(half_width: float, depth: float) -> tuple[Point, ...]:
    top = -0.75
    curve = [(half_width, top), (half_width * 0.95, top + 0.5 * depth)]
    return mirrored([*curve, (half_width * 0.6, top + 0.9 * depth), (0.0, top + depth)])


def _v_neck(half_width: float, depth: float) -> tuple[Point, ...]:
    return mirrored([(half_width, -0.75), (0.0, -0.75 + depth)])


def _hem(length: float, shortest: float, longest: float) -> float:
    return shortest + (longest - shortest) * length


def t_shirt(cut: Cut) -> Outline:
    """Return a T-shirt: short sleeves, round neck."""
    y, x = _hem(cut.length, 0.25, 0.72), 0.28 + 0.20 * cut.fit
    body = _torso(y, x, x, 0.30 + 0.12 * cut.length, 0.15)
    return Outline(
        (body,), holes=(_round_neck(0.15, 0.16),), seams=(((-x, y - 0.05), (x, y - 0.05)),)
    )


def shirt(cut: Cut) -> Outline:
    """Return a shirt: long sleeves, collar, a row of buttons."""
    y, x = _hem(cut.length, 0.38, 0.80), 0.28 + 0.20 * cut.fit
    collar = ((0.02, -0.60), (0.16, -0.76), (0.24, -0.62), (0.13, -0.50))
    rows = [-0.42 + step * (y + 0.36) / 5 for step in range(6)]
    return Outline(
        (_torso(y, x, x, 0.95, 0.13),),
        holes=(_v_neck(0.13, 0.16),),
        seams=(((0.0, -0.55), (0.0, y)),),
        trims=_both(collar),
        buttons=tuple((0.0, row) for row in rows),
    )


def sweater(cut: Cut) -> Outline:
    """Return a sweater: long sleeves, ribbed hem and collar."""
    y, x = _hem(cut.length, 0.32, 0.70), 0.32 + 0.20 * cut.fit
    collar = (
        (0.0, -0.56),
        (0.12, -0.62),
        (0.17, -0.75),
        (0.23, -0.72),
        (0.17, -0.55),
        (0.0, -0.47),
    )
    band = mirrored([(x, y - 0.09), (x - 0.03, y)])
    return Outline(
        (_torso(y, x - 0.03, x, 0.95, 0.17),),
        holes=(_round_neck(0.17, 0.19),),
        trims=(*_both(collar), band),
    )


def hoodie(cut: Cut) -> Outline:
    """Return a hoodie: long sleeves, hood, kangaroo pocket, cords."""
    y, x = _hem(cut.length, 0.35, 0.72), 0.32 + 0.20 * cut.fit
    hood = mirrored([(0.0, -0.98), (0.16, -0.94), (0.25, -0.78), (0.22, -0.60), (0.0, -0.50)])
    opening = mirrored([(0.0, -0.86), (0.11, -0.80), (0.11, -0.66), (0.0, -0.58)])
    pocket = mirrored([(0.12, 0.06), (0.22, 0.26), (0.22, 0.32)])
    cords = (((0.07, -0.58), (0.08, -0.30)), ((-0.07, -0.58), (-0.08, -0.30)))
    return Outline(
        (_torso(y, x - 0.02, x, 0.95, 0.2), hood),
        trims=(opening, pocket, mirrored([(x - 0.02, y - 0.07), (x - 0.02, y)])),
        seams=cords,
    )


def tank_top(cut: Cut) -> Outline:
    """Return a tank top: no sleeves, deep neck."""
    y, x = _hem(cut.length, 0.25, 0.70), 0.24 + 0.22 * cut.fit
    return Outline(
        (_torso(y, x, max(x - 0.02, 0.26), 0.0, 0.16),), holes=(_round_neck(0.16, 0.30),)
    )


def coat(cut: Cut) -> Outline:
    """Return a coat to the knee: lapels, belt, two rows of buttons."""
    y, x = _hem(cut.length, 0.62, 0.97), 0.34 + 0.26 * cut.fit
    lapel = ((0.0, -0.20), (0.15, -0.76), (0.27, -0.62), (0.20, -0.42))
    belt = mirrored([(0.32, 0.08), (0.32, 0.17)])
    return Outline(
        (_torso(y, x, 0.31, 0.97, 0.14),),
        holes=(_v_neck(0.12, 0.30),),
        seams=(((0.0, -0.20), (0.0, y)),),
        trims=(*_both(lapel), belt),
        buttons=tuple((side * 0.1, row) for side in (-1, 1) for row in (-0.08, 0.32, 0.5)),
    )


def blazer(cut: Cut) -> Outline:
    """Return a blazer to the hip: wide lapels, one button, pockets."""
    y, x = _hem(cut.length, 0.30, 0.62), 0.29 + 0.18 * cut.fit
    lapel = ((0.0, 0.02), (0.13, -0.76), (0.26, -0.60), (0.19, -0.36))
    pocket = ((0.10, 0.16), (0.25, 0.13), (0.25, 0.19), (0.10, 0.22))
    return Outline(
        (_torso(y, x + 0.04, x - 0.02, 0.92, 0.13),),
        holes=(_v_neck(0.13, 0.62),),
        seams=(((0.0, 0.02), (0.05, y)),),
        trims=(*_both(lapel), *_both(pocket)),
        buttons=((0.0, 0.06),),
    )


def dress(cut: Cut) -> Outline:
    """Return a dress: a bodice with short sleeves on a skirt."""
    y, x = _hem(cut.length, 0.42, 0.97), 0.30 + 0.42 * cut.fit
    half = [(0.14, -0.72), (0.36, -0.66), (0.50, -0.42), (0.38, -0.34), (0.27, -0.30), (0.20, 0.0)]
    return Outline(
        (mirrored([*half, (x, y), (x * 0.6, y + 0.02)]),),
        holes=(_round_neck(0.14, 0.2),),
        trims=(mirrored([(0.205, -0.03), (0.205, 0.04)]),),
    )


def skirt(cut: Cut) -> Outline:
    """Return a skirt: waistband and folds."""
    y, x = _hem(cut.length, 0.05, 0.92), 0.30 + 0.45 * cut.fit
    folds = tuple(((at * 0.22, -0.55), (at * x * 0.9, y)) for at in (-0.75, -0.25, 0.25, 0.75))
    return Outline(
        (mirrored([(0.24, -0.68), (0.25, -0.56), (x, y), (x * 0.5, y + 0.03)]),),
        seams=folds,
        trims=(mirrored([(0.24, -0.68), (0.25, -0.58)]),),
    )


def trousers(cut: Cut) -> Outline:
    """Return trousers: waistband, fly, two legs from tight to wide."""
    return _legs(_hem(cut.length, 0.55, 0.96), cut.fit)


def shorts(cut: Cut) -> Outline:
    """Return shorts: trousers that end above the knee."""
    return _legs(_hem(cut.length, -0.10, 0.35), 0.4 + 0.6 * cut.fit)


def _legs(y: float, fit: float) -> Outline:
    out = 0.24 + 0.30 * fit
    half = [
        (0.27, -0.82),
        (0.28, -0.70),
        (0.34, -0.45),
        (out, y),
        (max(out - 0.26 - 0.14 * fit, 0.03), y),
    ]
    return Outline(
        (mirrored([*half, (0.02, -0.22)]),),
        seams=(
            ((0.0, -0.72), (0.0, -0.25)),
            ((0.16, -0.72), (0.29, -0.56)),
            ((-0.16, -0.72), (-0.29, -0.56)),
        ),
        trims=(mirrored([(0.27, -0.82), (0.28, -0.72)]),),
        buttons=((0.0, -0.77),),
    )


def jumpsuit(cut: Cut) -> Outline:
    """Return a jumpsuit: a sleeveless body with trousers, belt and zip."""
    y, out = _hem(cut.length, 0.40, 0.97), 0.20 + 0.26 * cut.fit
    half = [(0.13, -0.86), (0.28, -0.82), (0.25, -0.52), (0.22, -0.18), (0.29, 0.05), (out, y)]
    return Outline(
        (mirrored([*half, (max(out - 0.30, 0.03), y), (0.02, 0.22)]),),
        holes=(mirrored([(0.13, -0.90), (0.0, -0.62)]),),
        seams=(((0.0, -0.62), (0.0, 0.2)),),
        trims=(mirrored([(0.225, -0.20), (0.23, -0.12)]),),
    )


GARMENTS: tuple[Callable[[Cut], Outline], ...] = (
    t_shirt,
    dress,
    trousers,
    coat,
    skirt,
    hoodie,
    shirt,
    shorts,
    sweater,
    jumpsuit,
    tank_top,
    blazer,
)  # category c has GARMENTS[c % 12]
