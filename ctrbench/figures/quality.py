"""The gain of every version against its intrinsic quality."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench.analysis.shown import Place, Shown
from ctrbench.figures._base import Figure
from ctrbench.figures._scatter import scatter

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from ctrbench.quality import Quality

MEASURES = {
    "sim_gauc": "SimScore GAUC",
    "same_category": "same category, share",
    "effective_rank": "effective rank",
}


class IntrinsicQuality(Figure):
    """At most three measures of the vectors side by side."""

    title = "Intrinsic quality against delta"
    order = 70

    def lacks(self, shown: Shown) -> str:
        """Return a sentence if no version was measured."""
        if _panels(shown):
            return ""
        return "The vectors are not in this workspace, so their quality is not measured."

    def draw(self, shown: Shown) -> Drawing:
        """Return a panel per measure; controls have no quality of their own."""
        return scatter(_panels(shown), shown.metric)

    def caption(self, shown: Shown) -> str:
        """Return sentences on the measures."""
        return (
            "The quality of each version's vectors is measured on `valid` without a CTR model; "
            "`ctrbench embeddings quality` prints all measures. "
            "Intervals are drawn for at most 40 arms; overlapping arms are moved apart. "
            "Modes that read several vector fields are omitted."
        )


def _panels(shown: Shown) -> list[tuple[str, list[tuple[Place, float]]]]:
    panels = []
    for key, name in MEASURES.items():
        points = [
            (place, value)
            for place in shown.places
            if place.row.control is None
            and place.gain is not None
            and (quality := _quality(shown, place)) is not None
            and (value := getattr(quality, key)) is not None
        ]
        if points:
            panels.append((name, points))
    return panels


def _quality(shown: Shown, place: Place) -> Quality | None:
    """Return the quality of the vector field that an arm reads; None if it reads several."""
    reads = place.column.settings.reads
    return shown.quality.get((place.row.version, reads[0])) if len(reads) == 1 else None
