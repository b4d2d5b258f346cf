"""The delta over the baseline against the number of codes, where that was varied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench.analysis.shown import Shown
from ctrbench.figures._base import Figure
from ctrbench.figures._style import (
    DASHES,
    MARKS,
    SERIES,
    drawing,
    label,
    rows_and_columns,
    zero,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

HEIGHT = 2.2  # inches of one version


class NumberOfCodes(Figure):
    """Small axes, one per version."""

    title = "Delta against the number of codes"
    order = 50

    def lacks(self, shown: Shown) -> str:
        """Say whether no number of codes was varied."""
        if shown.codes:
            return ""
        return "No mode was stored with several values of codebook_size."

    def draw(self, shown: Shown) -> Drawing:
        """Draw all curves on one scale."""
        curves = shown.codes
        down, across = rows_and_columns(len(curves), 2)
        figure = drawing(0.5 + down * HEIGHT)
        axes = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
        for number, (own, curve) in enumerate(zip(axes, curves, strict=False)):
            colour = SERIES[number % len(SERIES)]
            sizes = [point.value for point in curve.points]
            gains = [point.gain for point in curve.points]
            middle = [100 * gain.estimate for gain in gains]
            reach = [
                [100 * (gain.estimate - gain.low) for gain in gains],
                [100 * (gain.high - gain.estimate) for gain in gains],
            ]
            own.errorbar(
                sizes,
                middle,
                yerr=reach,
                color=colour,
                marker=MARKS[number % len(MARKS)],
                linestyle=DASHES[number % len(DASHES)],
                markersize=5,
                linewidth=1.2,
            )
            zero(own, upright=False)
            own.set_title(label(curve.label, 44), loc="left")
            own.set_xscale("log")
            own.tick_params(labelbottom=True, labelleft=True)
        ticks = sorted({point.value for curve in curves for point in curve.points})
        axes[0].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes[0].minorticks_off()
        for spare in axes[len(curves) :]:
            spare.set_visible(False)
        figure.supxlabel("codes (logarithmic)", fontsize=9)
        figure.supylabel(f"delta of {shown.metric}, pp", fontsize=9)
        return figure

    def caption(self, shown: Shown) -> str:
        """Say which intervals these are."""
        return (
            "Delta over the baseline by number of codes. The 95 % intervals share the "
            "simultaneous level of the table."
        )
