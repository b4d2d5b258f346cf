"""Comma-separated values in long form, for a spreadsheet or a data frame."""

from __future__ import annotations

import csv
import io

from ctrbench.analysis.table import ComparisonTable
from ctrbench.reports._base import Report
from ctrbench.reports._long import long_rows


class Csv(Report):
    """One row per block, row and column; an empty place where there is no number."""

    def render(self, table: ComparisonTable) -> str:
        """The rows under a header; caption and warnings are in the other formats."""
        rows = [{**row, "hashes": " ".join(row["hashes"])} for row in long_rows(table)]
        if not rows:
            return ""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()
