"""What a version knows without a CTR model, against what it gains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench.analysis.shown import Place, Shown
from ctrbench.figures._base import Figure
from ctrbench.figures._scatter import scatter

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

MEASURES = {
    "sim_gauc": "SimScore GAUC",
    "same_category": "same category, share",
    "effective_rank": "effective rank",
}


class IntrinsicQuality(Figure):
    """Three measures of the vectors side by side, as far as they are defined."""

    title = "Intrinsic quality against delta"
    order = 70

    def lacks(self, shown: Shown) -> str:
        """Say whether no version was measured."""
        if _panels(shown):
            return ""
        return "The vectors are not in this workspace, so their quality is not measured."

    def draw(self, shown: Shown) -> Drawing:
        """Draw versions; controls have no quality of their own."""
        return scatter(_panels(shown), shown.metric)

    def caption(self, shown: Shown) -> str:
        """Say what the measures are."""
        return (
            "Each version stands at the quality of its vectors, measured on `valid` without a CTR "
            "model. `ctrbench embeddings quality` explains the measures. "
            "Intervals are drawn for up to 40 arms; arms at the same place stand side by side."
        )


def _panels(shown: Shown) -> list[tuple[str, list[tuple[Place, float]]]]:
    panels = []
    for key, name in MEASURES.items():
        points = [
            (place, value)
            for place in shown.places
            if place.row.control is None
            and place.gain is not None
            and place.row.version in shown.quality
            and (value := getattr(shown.quality[place.row.version], key)) is not None
        ]
        if points:
            panels.append((name, points))
    return panels
