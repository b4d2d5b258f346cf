"""Results that a notebook shows as HTML."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import ClassVar, TypeVar

T = TypeVar("T")
HTML = "ctrbench.terminal.html"  # imported when a notebook shows a result


class Displayed:
    """A result that a notebook shows as the tables that its command prints.

    A subclass names its view, a function of a module of `ctrbench.terminal`:
    `class Decision(Displayed, view="comparisons.show")`.
    """

    _view: ClassVar[str]

    def __init_subclass__(cls, view: str = "") -> None:
        """Store the view.

        Args:
            view: `MODULE.FUNCTION`; empty: that of the base class.
        """
        super().__init_subclass__()
        if view:
            cls._view = view

    def _repr_html_(self) -> str:
        return import_module(HTML).as_html(self, self._view)


class Listing(tuple[T, ...]):
    """A tuple of results that a notebook shows as one table."""

    _view: str

    def __new__(cls, results: Iterable[T], view: str) -> Listing[T]:
        """Return the results.

        Args:
            results: The results.
            view: `MODULE.FUNCTION`, as in `Displayed`.
        """
        made = super().__new__(cls, results)
        made._view = view
        return made

    def _repr_html_(self) -> str:
        return import_module(HTML).as_html(self, self._view)
