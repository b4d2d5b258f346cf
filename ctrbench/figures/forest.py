"""Both deltas of every version and mode, with their intervals."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from ctrbench.analysis.shown import Shown
from ctrbench.figures._base import Figure, lacks_intervals
from ctrbench.figures._style import MUTED, SERIES, arm, bars, drawing, key, legend, zero

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from ctrbench.stats import Inference

LINE = 0.3  # inches per arm
EDGE = 1.1  # inches of legend and axis


class Forest(Figure):
    """One line per arm, grouped by version; the delta over the sibling is just below it."""

    title = "Both deltas of every version and mode"
    order = 10
    tall = True

    def lacks(self, shown: Shown) -> str:
        """Return a sentence if no arm has an interval."""
        return lacks_intervals(shown)

    def draw(self, shown: Shown) -> Drawing:
        """Return versions first, then controls with hollow marks."""
        places = [place for place in shown.places if place.gain is not None]
        versions = [(row, list(own)) for row, own in groupby(places, key=lambda one: one.row)]
        lines = len(places) + 0.6 * (len(versions) - 1)
        figure = drawing(EDGE + LINE * lines)
        axes = figure.add_subplot()
        at, ticks = 0.0, []
        gains: list[tuple[float, Inference]] = []
        controls: list[tuple[float, Inference]] = []
        images: list[tuple[float, Inference]] = []
        for row, own in versions:
            for place in own:
                if place.gain is not None:
                    (gains if row.control is None else controls).append((at, place.gain))
                images += [(at + 0.28, image) for image in place.images]
                ticks.append((at + 0.14 * bool(place.images), arm(place.row, place.column)))
                at += 1
            at += 0.6
        bars(axes, gains, SERIES[0], "o")
        bars(axes, images, SERIES[1], "s")
        bars(axes, controls, MUTED, "o", filled=False)
        zero(axes)
        axes.set_yticks([one for one, _ in ticks], [text for _, text in ticks])
        axes.set_ylim(lines - 0.3, -0.7)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(f"delta of {shown.metric}, percentage points (95 % interval)")
        entries = [key(SERIES[0], "o", "over the baseline")]
        if any(place.images for place in places):
            entries.append(key(SERIES[1], "s", "over the shuffled sibling"))
        if any(row.control is not None for row, _ in versions):
            entries.append(key(MUTED, "o", "control, over the baseline", filled=False))
        legend(figure, entries)
        return figure

    def caption(self, shown: Shown) -> str:
        """Return sentences on the marks."""
        return (
            "Circles show the delta over the baseline, squares the delta over the shuffled "
            "sibling. A gain is due to image content only if both intervals lie to the right of "
            "zero. Hollow circles are controls; their intervals should contain zero."
        )
