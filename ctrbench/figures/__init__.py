"""Figures of a matrix: one file per kind, found by listing.

A kind is one public subclass of `Figure` in a file of its own; the file's name is the kind's. It
draws a `Shown` and decides nothing. matplotlib draws all of them, so that the report page and the
static files show the same figure.
"""

from ctrbench.figures._base import Figure, figure, kinds
from ctrbench.figures._saving import check_drawable, save, svg
from ctrbench.figures._style import without_controls

__all__ = ["Figure", "check_drawable", "figure", "kinds", "save", "svg", "without_controls"]
