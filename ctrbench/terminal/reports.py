"""Tables of a matrix on the terminal, and where its report is."""

from __future__ import annotations

from ctrbench.page import ReportOfRun
from ctrbench.terminal.output import echo


def show_report(found: ReportOfRun, brief: bool) -> None:
    """Print where the report of a run is, or the command that makes it.

    Args:
        found: The report.
        brief: Whether stdout shows the short form of the table; else stderr names the report.
    """
    if found.problem:
        echo(f"The report was not written: {found.problem}", err=True)
    make = f"none yet; `ctrbench report {found.file} -o {found.path}` writes it"
    echo(f"\nReport: {found.path if found.current else make}", err=not brief)
