"""JSON: rows in long form, verdicts, caption, footnotes, warnings and hashes of the cells."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ctrbench.analysis.table import ComparisonTable
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
        value = {
            "dataset": table.dataset,
            "caption": table.caption,
            "seeds": table.seeds,
            "columns": table.headers,
            "rows": long_rows(table),
            "verdicts": _verdicts(table),
            "footnotes": [asdict(note) for note in table.footnotes],
            "warnings": table.warnings,
        }
        return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
