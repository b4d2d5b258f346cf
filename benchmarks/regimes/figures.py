"""Draws the map of regimes from results/tables/regimes.csv, into results/figures/.

`python -m benchmarks.regimes.figures` draws the gain of every mode over the grid, the winning mode
of each point, the differences that decide the crossings, the factors that are varied one at a time,
and the gain of `cluster_id` against that of `sim_score`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_rgba
from PIL import Image

from benchmarks.regimes.study import ALIGNMENTS, SIZES, points, read_rows
from benchmarks.regimes.table import CROSSINGS, Gains, gains_of, interval, net_gains, winner
from benchmarks.shared import TABLES
from ctrbench.figures import save
from ctrbench.figures._style import DASHES, LINE, MARKS, MUTED, SERIES, TEXT, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOLDER = TABLES.parent / "figures"
COLUMNS = 5  # of panels
COLOURS = 40  # of a file, which is a quarter as large then
FACTORS = {  # and the names of their levels
    "items": "{} items per 1,000 impressions",
    "tail": "popularity exponent {}",
    "codes": "{} codes per 100 items",
    "clicks": "{} clicks per user",
    "vectors": "{}",
    "warm": "warm start",
}
SHOWN = ("sim_score", "vector", "cluster_id")
OVER = "Gain over the baseline", "Net gain, over random vectors"
Rows = list[dict[str, str]]
Grid = Mapping[str, Mapping[float, Gains]]  # size -> alignment -> gains


def main() -> None:
    """Draw every figure for which results are stored."""
    rows = read_rows()
    FOLDER.mkdir(parents=True, exist_ok=True)
    grid = _grid(rows)
    net = {size: of for size in SIZES if (of := net_gains(rows, size))}
    drawn: dict[str, Callable[[], Figure]] = {
        "gains": lambda: gains_figure(grid),
        "winners": lambda: winners_figure(grid, net),
        "crossings": lambda: crossings_figure(grid, net),
        "screen": lambda: screen_figure(rows),
    }
    if factors := _factors(rows):
        drawn["factors"] = lambda: factors_figure(rows, factors)
    for name, draw in drawn.items():
        path = FOLDER / f"regimes-{name}.png"
        save(draw, path)
        Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def _grid(rows: Rows) -> Grid:
    """Return the gains by size and alignment."""
    found: dict[str, dict[float, Gains]] = {}
    for size in SIZES:
        for level in ALIGNMENTS:
            gains = gains_of(rows, f"main-{size}-{level:g}")
            if gains:
                found.setdefault(size, {})[level] = gains
    return found


def gains_figure(grid: Grid) -> Figure:
    """Return one panel per mode: the gain by alignment, one line per size.

    Args:
        grid: The gains by size and alignment.
    """
    modes = list(next(iter(next(iter(grid.values())).values())))
    figure = drawing(2.0 * -(-len(modes) // COLUMNS) + 0.6, width=10)
    panels = figure.subplots(-(-len(modes) // COLUMNS), COLUMNS, sharex=True, sharey=True)
    for axes, mode in zip(panels.flat, modes, strict=True):
        for number, (size, by_alignment) in enumerate(grid.items()):
            _line(axes, number, {at: gains[mode] for at, gains in by_alignment.items()}, size)
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.set_title(mode, color=TEXT)
        axes.set_xticks([0, 0.5, 1])
    figure.supxlabel("alignment of similarity with taste", fontsize=9)
    figure.supylabel("gain in GAUC, pp", fontsize=9)
    _legend(figure, panels.flat[0])
    return figure


def winners_figure(grid: Grid, net: Grid) -> Figure:
    """Return the phase diagrams: the leading mode of each point, pale if it does not win.

    Args:
        grid: The gains by size and alignment.
        net: The same for gains over random vectors; may be empty.
    """
    shown = [(over, of) for over, of in zip(OVER, (grid, net), strict=True) if of]
    heights = [len(of) for _, of in shown]
    figure = drawing(0.75 * sum(heights) + 0.9 * len(shown), width=7.5)
    panels = figure.subplots(len(shown), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    modes = list(next(iter(next(iter(grid.values())).values())))
    for axes, (over, of) in zip(panels, shown, strict=True):
        for y, size in enumerate(of):
            for level, gains in of[size].items():
                _leader(axes, ALIGNMENTS[::-1].index(level), y, gains, modes)
        axes.set_xlim(-0.5, len(ALIGNMENTS) - 0.5)
        axes.set_ylim(-0.5, len(of) - 0.5)
        axes.set_xticks(range(len(ALIGNMENTS)), [f"{level:g}" for level in ALIGNMENTS[::-1]])
        axes.set_yticks(range(len(of)), [f"{SIZES[size][0]:,}" for size in of])
        axes.grid(visible=False)
        axes.set_title(f"{over}. Filled: significantly above all other modes", loc="left")
    panels[-1].set_xlabel("alignment of similarity with taste")
    figure.supylabel("training impressions", fontsize=9)
    return figure


def _leader(axes: Axes, x: int, y: int, gains: Gains, modes: list[str]) -> None:
    """Draw the box of a point."""
    from matplotlib.patches import Rectangle

    best, won = max(gains, key=lambda m: gains[m].mean()), winner(gains) is not None
    face = to_rgba(SERIES[modes.index(best) % len(SERIES)], 0.9 if won else 0.15)
    axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=face, edgecolor=LINE))
    text, mean = best.replace("+", "\n+ "), f"{gains[best].mean():+.1f} pp"
    shown = f"{text}\n{mean}" if won else f"{text} leads\n{mean}"
    ink = "white" if won else TEXT
    axes.text(x, y, shown, ha="center", va="center", color=ink, fontsize=8)


def crossings_figure(grid: Grid, net: Grid) -> Figure:
    """Return the paired differences whose zeros are the stated crossings.

    Args:
        grid: The gains by size and alignment.
        net: The same for gains over random vectors; may be empty.
    """
    shown = [(over, of) for over, of in zip(OVER, (grid, net), strict=True) if of]
    figure = drawing(2.2 * len(shown) + 0.5, width=9)
    panels = figure.subplots(len(shown), len(CROSSINGS), sharex=True, sharey=True, squeeze=False)
    for row, (over, of) in zip(panels, shown, strict=True):
        for axes, (first, second) in zip(row, CROSSINGS, strict=True):
            for size, by_alignment in of.items():
                pairs = {at: gains[first] - gains[second] for at, gains in by_alignment.items()}
                _line(axes, [*grid].index(size), pairs, size)
            axes.axhline(0, color=MUTED, linewidth=0.8)
            axes.set_title(f"{first} - {second}", color=TEXT)
        row[0].set_ylabel(f"{over}, pp")
    for axes in panels[-1]:
        axes.set_xlabel("alignment")
    _legend(figure, panels[0, 0])
    return figure


def screen_figure(rows: Rows) -> Figure:
    """Return the gain of `cluster_id` against that of `sim_score`, one mark per point and version.

    Args:
        rows: The stored rows.
    """
    figure = drawing(3.4, width=5)
    axes = figure.subplots()
    for number, size in enumerate(SIZES):
        pairs = screened(rows, SIZES[size][0])
        if len(pairs):
            label = f"{SIZES[size][0]:,} training impressions"
            axes.plot(*pairs.T, MARKS[number], color=SERIES[number], markersize=5, label=label)
    figure.legend(loc="outside upper center", fontsize=8)
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_xlabel("mean gain of sim_score, pp")
    axes.set_ylabel("mean gain of cluster_id, pp")
    return figure


def screened(rows: Rows, impressions: int) -> np.ndarray:
    """Return the mean gains of `sim_score` and `cluster_id` by point and version, (n, 2).

    Args:
        rows: The stored rows.
        impressions: The training impressions of the points.
    """
    found = []
    for point in points():
        for version in point.versions:
            gains = gains_of(rows, point.name, version)
            if gains and point.impressions == impressions:
                found.append([gains["sim_score"].mean(), gains["cluster_id"].mean()])
    return np.array(found).reshape(-1, 2)


def _factors(rows: Rows) -> dict[str, list[tuple[str, str, str]]]:
    """Return, by factor, (label, point, version) of its levels that are stored, at alignment 1."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for point in points():
        name, at = point.name.rsplit("-", 1)
        factor = name.split("-")[0]
        if factor in FACTORS and at == "1":
            for version in point.versions:
                if gains_of(rows, point.name, version):
                    level = version if factor == "vectors" else name.removeprefix(f"{factor}-")
                    shown = FACTORS[factor].format(level)
                    found.setdefault(factor, []).append((shown, point.name, version))
    return found


def factors_figure(rows: Rows, factors: Mapping[str, list[tuple[str, str, str]]]) -> Figure:
    """Return the gains of three modes at each level of the other factors, at both alignments.

    Args:
        rows: The stored rows.
        factors: (label, point, version) of the levels of each factor.
    """
    levels = [("default", "main-300k-1", "oracle"), *(one for of in factors.values() for one in of)]
    figure = drawing(0.27 * len(levels) + 1.1, width=8)
    panels = figure.subplots(1, 2, sharey=True, sharex=True)
    for axes, at in zip(panels, ("1", "0"), strict=True):
        for number, mode in enumerate(SHOWN):
            for y, (_, point, version) in enumerate(levels):
                gains = gains_of(rows, point.removesuffix("-1") + f"-{at}", version)
                if gains and len(gains[mode]) > 1:
                    low, high = interval(gains[mode])
                    place = y + 0.22 * (number - 1)
                    axes.plot([low, high], [place, place], color=SERIES[number], linewidth=1.2)
                    mark = {"label": mode} if y == 0 else {}
                    axes.plot(
                        gains[mode].mean(), place, MARKS[number], color=SERIES[number], **mark
                    )
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set_title(f"alignment {at}", color=TEXT)
        axes.set_xlabel("gain in GAUC, pp")
    panels[0].set_yticks(range(len(levels)), [shown for shown, _, _ in levels])
    panels[0].invert_yaxis()
    lines, modes = panels[0].get_legend_handles_labels()
    figure.legend(lines, modes, loc="outside upper center", ncols=len(modes), fontsize=8)
    return figure


def _legend(figure: Figure, axes: Axes) -> None:
    """Draw the legend of the sizes above all panels."""
    lines, sizes = axes.get_legend_handles_labels()
    named = [f"{SIZES[size][0]:,} training impressions" for size in sizes]
    figure.legend(lines, named, loc="outside upper center", ncols=len(sizes), fontsize=8)


def _line(axes: Axes, number: int, by_alignment: Mapping[float, np.ndarray], size: str) -> None:
    """Draw means by alignment, with intervals where there are any, beside other sizes."""
    levels = [level + 0.02 * (number - 1.5) for level in by_alignment]
    means = np.array([values.mean() for values in by_alignment.values()])
    low, high = np.array([interval(values) for values in by_alignment.values()]).T
    axes.errorbar(
        levels,
        means,
        yerr=[means - low, high - means],
        color=SERIES[number],
        marker=MARKS[number],
        linestyle=DASHES[number] if len(levels) == len(ALIGNMENTS) else "none",
        markersize=4,
        linewidth=1.3,
        elinewidth=0.9,
        label=size,
    )


if __name__ == "__main__":
    main()
