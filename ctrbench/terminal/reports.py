"""The path of the report of a matrix on the terminal."""

from __future__ import annotations

from ctrbench.page import ReportOfRun
from ctrbench.terminal.output import echo


def show_report(found: ReportOfRun, brief: bool) -> None:
    """Print the path of the report of a run, or the command that writes it.

    Args:
        found: The report.
        brief: Whether to print on stdout, below the short form of the table, or on stderr.
    """
    if found.problem:
        echo(f"The report was not written: {found.problem}", err=True)
    make = f"none yet; `ctrbench report {found.file} -o {found.path}` writes it"
    echo(f"\nReport: {found.path if found.current else make}", err=not brief)
