"""The gain of every arm against its cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench.analysis.shown import Shown
from ctrbench.figures._base import Figure
from ctrbench.figures._scatter import scatter

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


class Cost(Figure):
    """Seconds of training and added parameters, side by side."""

    title = "Gain against cost"
    order = 60

    def lacks(self, shown: Shown) -> str:
        """Return a sentence if no arm has both a gain and a cost."""
        return "" if shown.costs else "No arm has both a gain and a cost."

    def draw(self, shown: Shown) -> Drawing:
        """Return a panel per cost that is stored with the cells."""
        seconds = [(one.place, one.train_s) for one in shown.costs if one.train_s is not None]
        added = [(one.place, one.parameters / 1000) for one in shown.costs]
        panels = [("training per cell, seconds", seconds), ("added parameters, thousands", added)]
        return scatter([panel for panel in panels if panel[1]], shown.metric)

    def caption(self, shown: Shown) -> str:
        """Return sentences on the source of the costs."""
        return (
            "Seconds and parameters are stored with the cells. `ctrbench cost FILE` measures the "
            "latency of serving. "
            "Intervals are drawn for at most 40 arms; overlapping arms are moved apart."
        )
