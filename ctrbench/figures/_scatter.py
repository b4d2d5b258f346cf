"""Gains of all arms against another quantity: a colour per mode, a mark per version."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from ctrbench.analysis.shown import Place
from ctrbench.figures._style import MARKS, MUTED, SERIES, drawing, key, label, legend, zero

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from ctrbench.plan import Column, Row

HEIGHT = 3.4  # inches without the legend
CROWD = 40  # largest number of arms with intervals; more would overlap
Panel = tuple[str, Sequence[tuple[Place, float]]]  # label of the x axis; arms and positions


def scatter(panels: Sequence[Panel], metric: str, front: bool = False) -> Drawing:
    """Return panels side by side that share the axis of the gain.

    Args:
        panels: At most three panels. Arms without a gain are left out. A panel with more than
            `CROWD` arms has no intervals.
        metric: The display name of the metric.
        front: Whether a line joins the arms that no other arm dominates: no other arm has a larger
            gain at a smaller or equal position.
    """
    places = [place for _, points in panels for place, _ in points]
    columns: list[Column] = list(dict.fromkeys(place.column for place in places))
    rows: list[Row] = list(dict.fromkeys(place.row for place in places))
    with_marks = len(rows) <= len(MARKS)
    entries = [key(_colour(number), "", label(c.label, 26)) for number, c in enumerate(columns)]
    if with_marks:
        marks = enumerate(rows)
        entries += [key(MUTED, MARKS[number], label(row.label, 26)) for number, row in marks]
        for entry in entries[len(columns) :]:
            entry.set_linestyle("none")
    if front:
        entries.append(key(MUTED, "", "not dominated"))
    lines = -(-len(entries) // 3)
    figure = drawing(HEIGHT + 0.2 * lines)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False).ravel()
    for own, (name, points) in zip(axes, panels, strict=True):
        points = _apart(points)
        for place, x in points:
            gain = place.gain
            if gain is None:
                continue
            colour = _colour(columns.index(place.column))
            if len(points) <= CROWD:
                own.plot([x, x], [100 * gain.low, 100 * gain.high], color=colour, linewidth=0.9)
            mark = MARKS[rows.index(place.row)] if with_marks else "o"
            hollow = place.row.control is not None
            own.plot(
                [x],
                [100 * gain.estimate],
                mark,
                color=colour,
                markersize=5.5,
                markerfacecolor="none" if hollow else colour,
            )
        if front:
            gains = [(x, place.gain.estimate) for place, x in points if place.gain is not None]
            ends = _front(gains)
            own.plot(
                [x for x, _ in ends],
                [100 * gain for _, gain in ends],
                color=MUTED,
                linewidth=0.8,
                zorder=1.4,
            )
        zero(own, upright=False)
        own.locator_params(axis="x", nbins=12 // len(panels))
        own.set_xlabel(name)
    axes[0].set_ylabel(f"delta of {metric} over the baseline, pp")
    legend(figure, entries)
    return figure


def _apart(points: Sequence[tuple[Place, float]]) -> list[tuple[Place, float]]:
    """Return the points; at most `CROWD` of them are moved apart to avoid overlaps."""
    ordered = sorted(points, key=lambda point: point[1])
    if len(ordered) > CROWD:
        return ordered
    step = (ordered[-1][1] - ordered[0][1] or 1) / 80
    groups: list[list[tuple[Place, float]]] = []
    for point in ordered:
        if groups and point[1] - groups[-1][-1][1] < step:
            groups[-1].append(point)
        else:
            groups.append([point])
    return [
        (place, fmean(x for _, x in group) + step * (at - (len(group) - 1) / 2))
        for group in groups
        for at, (place, _) in enumerate(group)
    ]


def _colour(number: int) -> str:
    return SERIES[number % len(SERIES)]


def _front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points (cost, gain) that no other point dominates, by increasing cost.

    >>> _front([(1, 0.2), (2, 0.1), (3, 0.3)])
    [(1, 0.2), (3, 0.3)]
    """
    found: list[tuple[float, float]] = []
    for cost, gain in sorted(points, key=lambda point: (point[0], -point[1])):
        if not found or gain > found[-1][1]:
            found.append((cost, gain))
    return found
