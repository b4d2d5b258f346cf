"""Curves of the headline's delta against a setting."""

from __future__ import annotations

from pathlib import Path

from ctrbench.analysis.curves import Curves
from ctrbench.drawings._base import new_figure, save
from ctrbench.metrics import find


def draw(found: Curves, output: Path) -> None:
    """Draw every curve with its intervals.

    Args:
        found: of a matrix.
        output: a .png, .svg or .pdf.

    Raises:
        StoreError: the file cannot be written.
    """
    figure = new_figure(8, 5)
    axes = figure.add_subplot()
    for curve in found.curves:
        values = [point.value for point in curve.points]
        gains = [point.gain for point in curve.points]
        middle = [100 * gain.estimate for gain in gains]
        (line,) = axes.plot(values, middle, "o-", label=curve.label)
        low, high = ([100 * getattr(gain, end) for gain in gains] for end in ("low", "high"))
        axes.fill_between(values, low, high, alpha=0.15, color=line.get_color())
    axes.axhline(0, color="0.6", linewidth=1)
    axes.set_xscale("log")
    ticks = sorted({point.value for curve in found.curves for point in curve.points})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(found.setting)
    axes.set_ylabel(f"{find(found.headline).title} over the baseline, pp, 95 % interval")
    axes.legend()
    save(figure, output)
