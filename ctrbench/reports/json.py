"""JSON: rows in long form, verdicts, caption, footnotes, warnings and hashes of the cells."""

from __future__ import annotations

from typing import Any

from ctrbench.analysis.table import ComparisonTable
from ctrbench.json_text import as_json
from ctrbench.reports._base import Report
from ctrbench.reports._long import inferred, long_rows


def _verdicts(table: ComparisonTable) -> list[dict[str, Any]]:
    lines = table.verdicts.lines if table.verdicts else ()
    return [
        {"comparison": line.subject, "verdict": line.verdict, **inferred(line.inference)}
        for line in lines
    ]


class Json(Report):
    """The whole content of a table, at full precision."""

    def render(self, table: ComparisonTable) -> str:
        """Return one JSON object."""
        return as_json(
            {
                "dataset": table.dataset,
                "caption": table.caption,
                "seeds": table.seeds,
                "columns": table.headers,
                "rows": long_rows(table),
                "verdicts": _verdicts(table),
                "footnotes": table.footnotes,
                "warnings": table.warnings,
            }
        )
