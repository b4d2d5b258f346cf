"""Run one cell; run a matrix, leaving out the cells already stored."""

from ctrbench.runner.run import (
    Observer,
    complete,
    missing_cells,
    run_cells,
    run_matrix,
    stored_records,
)

__all__ = [
    "Observer",
    "complete",
    "missing_cells",
    "run_cells",
    "run_matrix",
    "stored_records",
]
