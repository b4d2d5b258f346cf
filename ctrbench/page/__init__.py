"""The report page of a matrix: one self-contained HTML file.

Figures are inline SVG by matplotlib, with text as text and colours as CSS variables. The page
therefore requires no chart library, can be read without scripts, and shows the figures that
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
