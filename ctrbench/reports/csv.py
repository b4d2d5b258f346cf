"""Comma-separated values in long form, for a spreadsheet or a data frame."""

from __future__ import annotations

import csv
import io

from ctrbench.analysis.table import ComparisonTable
from ctrbench.reports._base import Report
from ctrbench.reports._long import long_rows


class Csv(Report):
    """One row per block, row and column; a missing number is empty."""

    def render(self, table: ComparisonTable) -> str:
        """Return the rows under a header, without caption and warnings."""
        rows = [{**row, "hashes": " ".join(row["hashes"])} for row in long_rows(table)]
        if not rows:
            return ""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()
