"""The contract of a report format, and the functions that find and render formats."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ctrbench import plugins
from ctrbench.analysis.table import ComparisonTable
from ctrbench.errors import UnknownNameError
from ctrbench.printable import printable

PACKAGE = "ctrbench.reports"


class Report(ABC):
    """A format of comparison tables."""

    @abstractmethod
    def render(self, table: ComparisonTable) -> str:
        """Return the whole table as text that ends with a newline."""

    def brief(self, table: ComparisonTable) -> str:
        """Return the short form; formats without one return the whole table."""
        return self.render(table)


def formats() -> list[str]:
    """Return the names of all formats, built in and installed."""
    return plugins.names(PACKAGE)


def render(table: ComparisonTable, format: str, full: bool = True) -> str:
    """Return the table as text, without control characters.

    Args:
        table: The table.
        format: One of `formats()`.
        full: Whether to return the whole table instead of its short form.

    Raises:
        UnknownNameError: No format has this name.
    """
    chosen: type[Report] = plugins.load(PACKAGE, format, Report, "table format")
    text = chosen().render(table) if full else chosen().brief(table)
    return printable(text)


def check_format(format: str) -> None:
    """Raise an error if a format does not exist, before anything is computed.

    Raises:
        UnknownNameError: No format has this name.
    """
    if format not in formats():
        raise UnknownNameError("table format", format, formats())
