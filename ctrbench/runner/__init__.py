"""Run one cell; run a matrix, leaving out the cells already stored."""

from ctrbench.runner.run import (
    Observer,
    changed_modes,
    complete,
    missing_cells,
    run_cells,
    run_matrix,
    stored_records,
)

__all__ = [
    "Observer",
    "changed_modes",
    "complete",
    "missing_cells",
    "run_cells",
    "run_matrix",
    "stored_records",
]
