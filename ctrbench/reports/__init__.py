"""HOW results are shown: one file per format, found by listing.

A format is one public subclass of `Report` in a file of its own; the file's name is the format's.
It turns a `ComparisonTable` into text and decides nothing: every number, footnote and warning is
in the table already.
"""

from ctrbench.reports._base import Report, check_format, formats, render
from ctrbench.reports._caption import joined
from ctrbench.reports._comparison import Comparison, Row
from ctrbench.reports._judging import CEILING, measured
from ctrbench.reports._table import ComparisonTable, compare

__all__ = [
    "CEILING",
    "Comparison",
    "ComparisonTable",
    "Report",
    "Row",
    "check_format",
    "compare",
    "formats",
    "joined",
    "measured",
    "render",
]
