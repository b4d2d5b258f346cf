"""The trace of a cell: loss, gradients, updates, and values that the mode reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench.figures._style import DASHES, SERIES, TEXT, drawing, key, label, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from ctrbench.analysis.traces import Explained

HEIGHT = 5.2  # inches


def draw_trace(found: Explained) -> Drawing:
    """Return curves along the epoch, one pair of axes per quantity.

    Args:
        found: The trace of a cell.
    """
    points = found.trace.points
    figure = drawing(HEIGHT)
    axes = figure.subplots(2, 2, sharex=True)
    seen = [point.impressions / 1000 for point in points]
    axes[0, 0].plot(seen, [point.loss for point in points], color=TEXT)
    axes[0, 0].set_title("loss since the previous point", loc="left")
    blocks = list(points[0].blocks)
    for number, name in enumerate(blocks):
        own = [point.blocks[name] for point in points]
        _line(axes[0, 1], seen, [block.gradient for block in own], number)
        moved = [block.update / block.weight if block.weight else 0.0 for block in own]
        _line(axes[1, 0], seen, moved, number)
    axes[0, 1].set_yscale("log")
    axes[0, 1].yaxis.set_major_formatter("{x:g}")
    axes[0, 1].yaxis.set_minor_formatter("")
    axes[0, 1].set_title("norm of the gradient", loc="left")
    axes[1, 0].set_title("L2 distance per norm of weights", loc="left")
    reported = list(points[0].reported)
    for number, name in enumerate(reported):
        _line(axes[1, 1], seen, [point.reported[name] for point in points], number)
    if reported:
        axes[1, 1].set_title(label(f"reported: {', '.join(reported)}"), loc="left")
    else:
        axes[1, 1].set_axis_off()
    name = label(found.label, 60)
    figure.supxlabel(f"{name}: training impressions, thousands", fontsize=9)
    entries = [key(_colour(number), "", label(name, 24)) for number, name in enumerate(blocks)]
    for number, entry in enumerate(entries):
        entry.set_linestyle(DASHES[number % len(DASHES)])
    legend(figure, entries)
    return figure


def _line(axes: Axes, seen: list[float], values: list[float], number: int) -> None:
    style = DASHES[number % len(DASHES)]
    axes.plot(seen, values, color=_colour(number), linestyle=style, linewidth=1.2)


def _colour(number: int) -> str:
    return SERIES[number % len(SERIES)]
