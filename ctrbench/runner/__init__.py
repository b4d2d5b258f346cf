"""Run one cell; run a matrix, leaving out the cells already stored."""

from ctrbench.runner.run import (
    Observer,
    add_slices,
    missing_cells,
    run_cells,
    run_matrix,
    stored_records,
)

__all__ = [
    "Observer",
    "add_slices",
    "missing_cells",
    "run_cells",
    "run_matrix",
    "stored_records",
]
