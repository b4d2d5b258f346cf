"""The contract of a report format, and the door to all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ctrbench import plugins
from ctrbench.analysis.table import ComparisonTable
from ctrbench.errors import UnknownNameError

PACKAGE = "ctrbench.reports"


class Report(ABC):
    """A way to write a comparison table down."""

    @abstractmethod
    def render(self, table: ComparisonTable) -> str:
        """The whole table as text that ends with a newline."""


def formats() -> list[str]:
    """Names of all formats, own and installed."""
    return plugins.names(PACKAGE)


def render(table: ComparisonTable, format: str) -> str:
    """The table in one format.

    Raises:
        UnknownNameError: no such format.
    """
    chosen: type[Report] = plugins.load(PACKAGE, format, Report, "table format")
    return chosen().render(table)


def check_format(format: str) -> None:
    """Refuse a format that does not exist before anything is computed.

    Raises:
        UnknownNameError: no such format.
    """
    if format not in formats():
        raise UnknownNameError("table format", format, formats())
