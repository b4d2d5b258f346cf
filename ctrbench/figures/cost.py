"""The gain of every arm against what it costs."""

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
        """Say whether no arm has both a gain and a cost."""
        return "" if shown.costs else "No arm has both a gain and a cost."

    def draw(self, shown: Shown) -> Drawing:
        """Draw what is stored with the cells."""
        seconds = [(one.place, one.train_s) for one in shown.costs if one.train_s is not None]
        added = [(one.place, one.parameters / 1000) for one in shown.costs]
        panels = [("training of a cell, seconds", seconds), ("added parameters, thousands", added)]
        return scatter([panel for panel in panels if panel[1]], shown.metric)

    def caption(self, shown: Shown) -> str:
        """Say where the costs come from."""
        return (
            "Seconds and parameters are stored with the cells. `ctrbench cost FILE` measures the "
            "latency of serving. "
            "Intervals are drawn for up to 40 arms; arms at the same place stand side by side."
        )
