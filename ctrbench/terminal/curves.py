"""Curves on the terminal."""

from __future__ import annotations

from ctrbench.analysis.curves import Curves
from ctrbench.metrics import find
from ctrbench.terminal.output import echo


def show(found: Curves) -> None:
    """Print a line per point of every curve."""
    for curve in found.curves:
        echo(f"{curve.label}, delta of {find(found.headline).title} in pp:")
        for point in curve.points:
            gain = point.gain
            told = f"{100 * gain.estimate:+.2f} [{100 * gain.low:+.2f}, {100 * gain.high:+.2f}]"
            echo(f"  {found.setting} {point.value:g}: {told}")
