"""Delta over the baseline against a setting that varies: one pair of axes per curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ctrbench.figures._style import DASHES, MARKS, SERIES, drawing, label, rows_and_columns, zero

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from ctrbench.analysis.curves import SettingCurve

HEIGHT = 2.2  # inches per row of axes


def draw_curves(curves: Sequence[SettingCurve], metric: str, setting: str) -> Drawing:
    """Return all curves on common scales, with their intervals.

    Args:
        curves: At least one curve, with positive values of the setting.
        metric: The display name of the metric.
        setting: The display name of the setting.
    """
    down, across = rows_and_columns(len(curves), 2)
    figure = drawing(0.5 + down * HEIGHT)
    axes = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    for number, (own, curve) in enumerate(zip(axes, curves, strict=False)):
        gains = [point.gain for point in curve.points]
        half_widths = [
            [100 * (gain.estimate - gain.low) for gain in gains],
            [100 * (gain.high - gain.estimate) for gain in gains],
        ]
        own.errorbar(
            [point.value for point in curve.points],
            [100 * gain.estimate for gain in gains],
            yerr=half_widths,
            color=SERIES[number % len(SERIES)],
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
    figure.supxlabel(f"{setting} (logarithmic)", fontsize=9)
    figure.supylabel(f"delta of {metric}, pp", fontsize=9)
    return figure
