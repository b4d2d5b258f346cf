"""Use of codebooks: shares, entropy, collisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench.analysis.shown import HEALTH, Shown
from ctrbench.figures._base import Figure
from ctrbench.figures._style import SERIES, arm, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

LINE, EDGE = 0.24, 0.9  # inches of one arm, and of title and axis


class CodebookHealth(Figure):
    """Small axes, one per measure, with one line per arm that has a codebook."""

    title = "Codebook health"
    order = 80
    tall = True

    def lacks(self, shown: Shown) -> str:
        """Return a sentence if no stored mode has a codebook."""
        return "" if shown.health else "No stored mode has a codebook."

    def draw(self, shown: Shown) -> Drawing:
        """Draw the measures that any arm reports."""
        keys = [key for key in HEALTH if any(key in one.facts for one in shown.health)]
        names = [arm(one.place.row, one.place.column, 28) for one in shown.health]
        down = -(-len(keys) // 2)
        figure = drawing(down * (EDGE + LINE * len(names)))
        across = min(2, len(keys))
        axes = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
        for own, key in zip(axes, keys, strict=False):
            points = [
                (at, one.facts[key]) for at, one in enumerate(shown.health) if key in one.facts
            ]
            heights, values = [at for at, _ in points], [value for _, value in points]
            own.hlines(heights, 0, values, colors=SERIES[0], linewidths=1.2)
            own.plot(values, heights, "o", color=SERIES[0], markersize=5)
            own.set_title(HEALTH[key], loc="left", fontsize=8.5)
            own.set_xlim(left=0)
            own.margins(x=0.08)
            own.grid(axis="y", visible=False)
            own.tick_params(axis="y", length=0)
        for spare in axes[len(keys) :]:
            spare.set_visible(False)
        axes[0].set_yticks(range(len(names)), names)
        axes[0].set_ylim(len(names) - 0.5, -0.5)
        return figure

    def caption(self, shown: Shown) -> str:
        """Return sentences on what a healthy codebook is."""
        return (
            "A healthy codebook uses all codes, and no code has a large share of the items. Values "
            "are means over the codebooks of all seeds."
        )
