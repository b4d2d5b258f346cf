"""Run single cells, and the cells of a matrix that are not stored yet."""

from ctrbench.runner.run import (
    Observer,
    changed_modes,
    complete,
    completed,
    missing_cells,
    run_cells,
    run_matrix,
    stored_records,
)

__all__ = [
    "Observer",
    "changed_modes",
    "complete",
    "completed",
    "missing_cells",
    "run_cells",
    "run_matrix",
    "stored_records",
]
