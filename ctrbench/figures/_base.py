"""The contract of a kind of figure, and the functions that find kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ctrbench import plugins
from ctrbench.analysis.shown import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

PACKAGE = "ctrbench.figures"


class Figure(ABC):
    """A kind of figure of a matrix."""

    title: ClassVar[str]  # display name
    order: ClassVar[int] = 100  # ascending order of the kinds on a page
    tall: ClassVar[bool] = False  # whether its height grows with the number of arms

    @abstractmethod
    def lacks(self, shown: Shown) -> str:
        """Return a sentence on why the figure cannot be drawn; empty if it can."""

    @abstractmethod
    def draw(self, shown: Shown) -> Drawing:
        """Return the figure; `lacks` must be empty."""

    @abstractmethod
    def caption(self, shown: Shown) -> str:
        """Return sentences that describe the marks."""


def kinds() -> list[str]:
    """Return the names of all kinds, built in and installed."""
    return plugins.names(PACKAGE)


def figure(kind: str) -> Figure:
    """Return a kind of figure.

    Raises:
        UnknownNameError: No kind has this name.
    """
    chosen: type[Figure] = plugins.load(PACKAGE, kind, Figure, "kind of figure")
    return chosen()


def lacks_intervals(shown: Shown) -> str:
    """Return a sentence if no arm has an interval; otherwise an empty string."""
    if any(place.gain is not None for place in shown.places):
        return ""
    return "No version and mode has an interval yet."
