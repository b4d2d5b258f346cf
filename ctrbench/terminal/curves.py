"""Curves on the terminal."""

from __future__ import annotations

from ctrbench.analysis.curves import Curves
from ctrbench.terminal.output import echo


def show(found: Curves) -> None:
    """Print a line per point of every curve."""
    for curve in found.curves:
        echo(f"{curve.label}, delta of {found.metric} in pp:")
        for point in curve.points:
            gain = point.gain
            interval = f"{100 * gain.estimate:+.2f} [{100 * gain.low:+.2f}, {100 * gain.high:+.2f}]"
            echo(f"  {found.setting} {point.value:g}: {interval}")
