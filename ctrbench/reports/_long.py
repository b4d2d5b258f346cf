"""Rows of CSV and JSON: one per block, row and column, at full precision."""

from __future__ import annotations

import math
from typing import Any

from ctrbench.analysis.blocks import Block, Line
from ctrbench.analysis.conditions import MARK
from ctrbench.analysis.table import ComparisonTable
from ctrbench.metrics import find
from ctrbench.plan import Column
from ctrbench.stats import Inference, Share

SOURCES = ("users", "items", "seeds")
INFERRED = (
    *("low_pp", "high_pp", "p_value", "p_adjusted", "p_holm", "p_bh", "probability_better"),
    "minimum_detectable_effect_pp",
    *(f"{what}_{source}" for what in ("variance", "share", "degrees") for source in SOURCES),
    *("effective_users", "effective_items"),
)


def inferred(inference: Inference | None, metric: str) -> dict[str, float | None]:
    """Return a delta's inference by column name; None if influence values are not stored.

    Args:
        inference: The inference of the delta.
        metric: Name of the metric.
    """
    if inference is None:
        return dict.fromkeys(INFERRED)
    above = inference.probability_above
    return {
        "low_pp": 100 * inference.low,
        "high_pp": 100 * inference.high,
        "p_value": inference.p_value,
        "p_adjusted": inference.p_adjusted,
        "p_holm": inference.p_holm,
        "p_bh": inference.p_bh,
        "probability_better": 1 - above if find(metric).less_is_better else above,
        "minimum_detectable_effect_pp": 100 * inference.smallest_effect,
        "variance_users": inference.variance.users,
        "variance_items": inference.variance.items if inference.variance.with_items else None,
        "variance_seeds": inference.variance.seeds,
        **{f"share_{name}": share for name, share in inference.shares.items()},
        "degrees_users": inference.variance.user_degrees,
        "degrees_items": _finite(inference.variance.item_degrees),
        "degrees_seeds": inference.variance.seed_degrees,
        "effective_users": _finite(inference.effective_users),
        "effective_items": _finite(inference.effective_items),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _shared(share: Share | None) -> dict[str, float | None]:
    """Return the share and its limits; None if there is no share or no interval."""
    if share is None or not share.defined:
        return dict.fromkeys(("share", "share_low", "share_high"))
    return {"share": share.value, "share_low": share.low, "share_high": share.high}


def _finding(table: ComparisonTable, block: Block, line: Line, column: Column) -> str | None:
    """Return the finding on the arm of a headline place; None elsewhere and for controls."""
    if (block.metric, block.slice) != (table.blocks[0].metric, "") or line.row is None:
        return None
    finding = table.answer.finding(line.row, column)
    return None if finding is None else finding.verdict


def long_rows(table: ComparisonTable) -> list[dict[str, Any]]:
    """Return one plain row per block, row and column; None marks a missing number."""
    notes = {note.mark: note.text for note in table.footnotes if note.mark != MARK}
    return [
        {
            "dataset": table.dataset,
            "metric": block.metric,
            "slice": block.slice,
            "comparison": block.comparison,
            "row": line.label,
            "against": line.against,
            "control": line.control,
            "column": column.label,
            "answer": _finding(table, block, line, column),
            "status": entry.status,
            "delta_pp": entry.delta.mean_pp if entry.delta else None,
            "standard_error_pp": entry.delta.standard_error_pp if entry.delta else None,
            **inferred(entry.inference, block.metric),
            **_shared(entry.share),
            "seeds": len(number.seeds) if (number := entry.delta or entry.share) else 0,
            "seeds_planned": len(table.seeds),
            "same_conditions": all(mark in notes for mark in entry.marks),
            "notes": " ".join(notes[mark] for mark in entry.marks if mark in notes),
            "hashes": entry.hashes,
        }
        for block in table.blocks
        for line in block.lines
        for column, entry in zip(table.columns, line.entries, strict=True)
    ]


def long_table(table: ComparisonTable) -> dict[str, Any]:
    """Return the whole content of a table as plain values."""
    lines = table.verdicts.lines if table.verdicts else ()
    metric = table.blocks[0].metric
    return {
        "dataset": table.dataset,
        "answer": [line.text for line in table.answer.lines],
        "caption": table.caption,
        "seeds": table.seeds,
        "columns": table.headers,
        "rows": long_rows(table),
        "verdicts": [
            {
                "comparison": line.subject,
                "verdict": line.verdict,
                **inferred(line.inference, metric),
            }
            for line in lines
        ],
        "footnotes": table.footnotes,
        "warnings": table.warnings,
    }
