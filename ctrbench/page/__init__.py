"""The report page of a matrix: one HTML file that needs nothing else.

Figures are inline SVG by matplotlib, with text as text and colours as CSS variables. So the page
needs no bundle of a chart library, can be read without scripts, and shows the figures that
`ctrbench plot` writes.
"""

from ctrbench.page.gathering import Page, gather
from ctrbench.page.rendering import render
from ctrbench.page.writing import ReportOfRun, report_of_run, write_page, write_report_of_run

__all__ = [
    "Page",
    "ReportOfRun",
    "gather",
    "render",
    "report_of_run",
    "write_page",
    "write_report_of_run",
]
