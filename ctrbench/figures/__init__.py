"""Figures of a matrix: one file per kind, found by listing.

A kind is one public subclass of `Figure` in its own file, whose name is the kind's name. It draws a
`Shown` and computes no result. matplotlib draws all kinds, so the report page and static files show
the same figures. `_curves`, `_scatter` and `_traces` also draw for `ctrbench curve`, `cost` and
`explain`.
"""

from ctrbench.figures._base import Figure, figure, kinds
from ctrbench.figures._curves import draw_curves
from ctrbench.figures._saving import Drawn, check_drawable, save, svg
from ctrbench.figures._scatter import scatter
from ctrbench.figures._style import without_controls
from ctrbench.figures._traces import draw_trace

__all__ = [
    "Drawn",
    "Figure",
    "check_drawable",
    "draw_curves",
    "draw_trace",
    "figure",
    "kinds",
    "save",
    "scatter",
    "svg",
    "without_controls",
]
