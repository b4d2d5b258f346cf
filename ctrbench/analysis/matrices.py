"""The stored records of a matrix -> its table, and what its headline says."""

from __future__ import annotations

from collections.abc import Mapping

from ctrbench.analysis.comparison import Comparison
from ctrbench.analysis.comparison import Row as TableRow
from ctrbench.analysis.judging import CEILING
from ctrbench.analysis.table import ComparisonTable, compare
from ctrbench.plan import Matrix, Row
from ctrbench.schema import CellRecord
from ctrbench.stats import Inference, parse_points
from ctrbench.store import Store
from ctrbench.workspace import Workspace


def comparison_table(
    workspace: Workspace, matrix: Matrix, records: Mapping[str, CellRecord], looks: int = 1
) -> ComparisonTable:
    """The matrix as a table, filled with what is stored; judged `looks` times in all."""
    seeds = matrix.file.seeds
    cells = {
        (row.label, column.label, seed): matrix.cell(row, column, seed).hash
        for row in matrix.rows
        for column in matrix.columns
        for seed in seeds
    }
    summary = Store(workspace).read_summary(matrix.dataset.name)
    same_data = summary and summary.manifest.content_hash == matrix.dataset.content_hash
    summary = summary if same_data else None
    plan = Comparison(
        dataset=matrix.dataset,
        headline=matrix.file.headline,
        columns=tuple(column.label for column in matrix.columns),
        rows=tuple(_table_row(row, matrix.rows) for row in matrix.rows),
        seeds=seeds,
        cells=cells,
        trained={column.label: column.trained for column in matrix.columns},
        baselines={
            column.trained: {seed: matrix.cell(None, column, seed).hash for seed in seeds}
            for column in matrix.columns
        },
        slices=matrix.file.slices,
        reference=summary.reference if summary else None,
        ceiling=summary.ceiling if summary else None,
        repeated=again.hash if (again := matrix.repeated()) else None,
        margin=parse_points(matrix.file.margin, "margin"),
        effect=parse_points(matrix.file.effect, "effect") if matrix.file.effect else None,
        looks=looks,
    )
    store = Store(workspace)
    influences = {key: store.influence(record.cell) for key, record in records.items()}
    influences[CEILING] = store.ceiling_influence(matrix.dataset.name)
    return compare(plan, records, influences)


def judged(
    workspace: Workspace, matrix: Matrix, records: Mapping[str, CellRecord], looks: int = 1
) -> dict[str, Inference]:
    """What the headline says of every comparison that is no control."""
    table = comparison_table(workspace, matrix, records, looks)
    return {
        f"{line.label} / {column} against {line.against}": entry.inference
        for block in table.blocks
        if block.metric == matrix.file.headline and not block.slice
        for line in block.lines
        for column, entry in zip(table.columns, line.entries, strict=True)
        if entry.inference is not None and not line.control and line.label != line.against
    }


def _table_row(row: Row, rows: tuple[Row, ...]) -> TableRow:
    shuffled = [
        other.label
        for other in rows
        if row.control is None
        and other.version == row.version
        and other.control is not None
        and other.control.kind == "shuffled"
    ]
    return TableRow(row.label, control=row.control is not None, siblings=tuple(shuffled))
