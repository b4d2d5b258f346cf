"""JSON: rows in long form, verdicts, caption, footnotes, warnings and hashes of the cells."""

from __future__ import annotations

from ctrbench.analysis.table import ComparisonTable
from ctrbench.json_text import as_json
from ctrbench.reports._base import Report
from ctrbench.reports._long import long_table


class Json(Report):
    """The whole content of a table, at full precision."""

    def render(self, table: ComparisonTable) -> str:
        """Return one JSON object."""
        return as_json(long_table(table))
