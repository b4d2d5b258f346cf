"""The delta over the baseline against the number of codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench.analysis.shown import Shown
from ctrbench.figures._base import Figure
from ctrbench.figures._curves import draw_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


class NumberOfCodes(Figure):
    """Small axes, one per version."""

    title = "Delta against the number of codes"
    order = 50

    def lacks(self, shown: Shown) -> str:
        """Return a sentence if no mode has several numbers of codes."""
        if shown.codes:
            return ""
        return "No mode was stored with several values of codebook_size."

    def draw(self, shown: Shown) -> Drawing:
        """Return all curves on one scale."""
        return draw_curves(shown.codes, shown.metric, "codes")

    def caption(self, shown: Shown) -> str:
        """Return sentences on the intervals."""
        return (
            "Delta over the baseline by number of codes. The 95 % intervals share the "
            "simultaneous level of the table."
        )
