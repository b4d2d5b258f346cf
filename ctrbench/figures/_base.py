"""The contract of a kind of figure, and the door to all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ctrbench import plugins
from ctrbench.analysis.shown import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

PACKAGE = "ctrbench.figures"


class Figure(ABC):
    """A way to draw what a matrix shows."""

    title: ClassVar[str]  # for people
    order: ClassVar[int] = 100  # of the kinds on a page
    tall: ClassVar[bool] = False  # whether it grows by a line per arm

    @abstractmethod
    def lacks(self, shown: Shown) -> str:
        """Return why there is nothing to draw, as a sentence; empty if there is something."""

    @abstractmethod
    def draw(self, shown: Shown) -> Drawing:
        """Return the figure of a matrix that lacks nothing for it."""

    @abstractmethod
    def caption(self, shown: Shown) -> str:
        """Return what the marks mean, for people who see the figure and who do not."""


def kinds() -> list[str]:
    """Return the names of all kinds, own and installed."""
    return plugins.names(PACKAGE)


def figure(kind: str) -> Figure:
    """Return a kind of figure.

    Raises:
        UnknownNameError: No such kind.
    """
    chosen: type[Figure] = plugins.load(PACKAGE, kind, Figure, "kind of figure")
    return chosen()
