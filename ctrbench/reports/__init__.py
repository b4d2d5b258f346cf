"""HOW results are shown: one file per format, found by listing.

A format is one public subclass of `Report` in a file of its own; the file's name is the format's.
It turns a `ComparisonTable` into text and decides nothing: every number, footnote and warning is
in the table already.
"""

from ctrbench.reports._base import Report, check_format, formats, render

__all__ = ["Report", "check_format", "formats", "render"]
