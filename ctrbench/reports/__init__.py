"""Report formats of comparison tables: one file per format, found by listing.

A format is one public subclass of `Report` in its own file, whose name is the format's name. It
turns a `ComparisonTable` into text and computes nothing: the table already contains every number,
footnote and warning.
"""

from ctrbench.reports._base import Report, check_format, formats, render
from ctrbench.reports._decisions import (
    check_decision_files,
    decision_markdown,
    decision_texts,
    write_decision,
)
from ctrbench.reports._long import long_table
from ctrbench.reports._texts import entry_text

__all__ = [
    "Report",
    "check_decision_files",
    "check_format",
    "decision_markdown",
    "decision_texts",
    "entry_text",
    "formats",
    "long_table",
    "render",
    "write_decision",
]
