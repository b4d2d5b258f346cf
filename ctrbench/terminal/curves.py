"""Curves on the terminal."""

from __future__ import annotations

import typer

from ctrbench.analysis.curves import Curves
from ctrbench.metrics import find


def show(found: Curves) -> None:
    """Print a line per point of every curve."""
    for curve in found.curves:
        typer.echo(f"{curve.label}, delta of {find(found.headline).title} in pp:")
        for point in curve.points:
            gain = point.gain
            told = f"{100 * gain.estimate:+.2f} [{100 * gain.low:+.2f}, {100 * gain.high:+.2f}]"
            typer.echo(f"  {found.setting} {point.value:g}: {told}")
