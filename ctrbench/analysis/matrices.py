"""The table and the headline results of a matrix, from its stored records."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ctrbench.analysis.comparison import Comparison, Measure, TablePlan, gather
from ctrbench.analysis.judging import CEILING, deltas, judge
from ctrbench.analysis.probes import influence_keys
from ctrbench.analysis.table import ComparisonTable, compare
from ctrbench.plan import Matrix, Row
from ctrbench.schema import CellRecord
from ctrbench.stats import Delta, Inference, parse_points
from ctrbench.store import Store
from ctrbench.workspace import Workspace

Records = Mapping[str, CellRecord]  # by cell hash


def comparison_table(
    workspace: Workspace, matrix: Matrix, records: Records, looks: int = 1
) -> ComparisonTable:
    """Return the table of a matrix from its stored records.

    Args:
        workspace: The workspace that holds the results.
        matrix: The checked matrix.
        records: Stored records of its cells, by cell hash.
        looks: Number of planned analyses, see `TablePlan.looks`.
    """
    plan = _table_plan(workspace, matrix, looks)
    return compare(plan, records, _influences(workspace, matrix, records))


def judged(
    workspace: Workspace, matrix: Matrix, records: Records, looks: int = 1
) -> dict[Comparison, Inference]:
    """Return the headline inference of every comparison without a control.

    Comparisons with the baseline come first, then those with shuffled siblings.

    Args:
        workspace: The workspace that holds the results.
        matrix: The checked matrix.
        records: Stored records of its cells, by cell hash.
        looks: Number of planned analyses, see `TablePlan.looks`.
    """
    plan = _table_plan(workspace, matrix, looks)
    arms = gather(plan, records)
    found = judge(plan, arms, _influences(workspace, matrix, records))
    headline = Measure(plan.headline)
    return {
        comparison: inference
        for comparison in (*arms.against_baseline(), *arms.against_siblings())
        if (inference := found.get(comparison, headline)) is not None and not comparison.control
    }


def headline_deltas(
    workspace: Workspace, matrix: Matrix, records: Records
) -> dict[Comparison, Delta]:
    """Return the headline deltas against the baseline, without controls.

    Args:
        workspace: The workspace that holds the results.
        matrix: The checked matrix.
        records: Stored records of its cells, by cell hash.
    """
    plan = _table_plan(workspace, matrix, looks=1)
    arms = gather(plan, records)
    headline = Measure(plan.headline)
    return {
        comparison: delta
        for (comparison, measure), delta in deltas(plan, arms).items()
        if measure == headline
        and comparison.reference is None
        and not comparison.control
        and not comparison.row.imported
    }


def printed_keys(workspace: Workspace, matrix: Matrix) -> frozenset[str]:
    """Return the keys of all influence values that the table of a matrix requires.

    Args:
        workspace: The workspace that holds the results.
        matrix: The checked matrix.
    """
    return influence_keys(_table_plan(workspace, matrix, looks=1))


def _table_plan(workspace: Workspace, matrix: Matrix, looks: int) -> TablePlan:
    seeds = matrix.file.seeds
    summary = Store(workspace).read_summary(matrix.dataset.name, matrix.dataset.outcome)
    same_data = summary and summary.manifest.content_hash == matrix.dataset.content_hash
    summary = summary if same_data else None
    return TablePlan(
        dataset=matrix.dataset,
        headline=matrix.file.headline,
        columns=matrix.columns,
        rows=matrix.rows,
        seeds=seeds,
        cells={
            (row, column, seed): matrix.cell(row, column, seed).hash
            for row, column in matrix.places()
            for seed in seeds
        },
        baselines={
            column.trained: {seed: matrix.cell(None, column, seed).hash for seed in seeds}
            for column in matrix.columns
        },
        slices=matrix.file.slices,
        imported={
            Row(model.name, imported=True): tuple(cell.hash for cell in model.cells)
            for model in matrix.imported
        },
        reference=summary.reference if summary else None,
        ceiling=summary.ceiling if summary else None,
        repeated=repeated.hash if (repeated := matrix.repeated()) else None,
        margin=parse_points(matrix.file.margin, "margin"),
        effect=parse_points(matrix.file.effect, "effect") if matrix.file.effect else None,
        impossible=frozenset(
            (row, column)
            for row in matrix.rows
            for column in matrix.columns
            if not matrix.exists(row, column)
        ),
        requested=matrix.file.metrics,
        looks=looks,
        first_fields={
            version: manifest.field
            for version, manifest in matrix.versions.items()
            if manifest.further and None in matrix.vector_fields
        },
    )


def _influences(
    workspace: Workspace, matrix: Matrix, records: Records
) -> dict[str, dict[str, np.ndarray]]:
    """Return the influence values by cell hash, including those of the true click probability."""
    store = Store(workspace)
    influences = {key: store.influence(record.cell) for key, record in records.items()}
    influences[CEILING] = store.ceiling_influence(matrix.dataset.name)
    return influences
