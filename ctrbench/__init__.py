"""Measure whether a new image embedding improves a CTR model, and which injection mode works best.

The names of `__all__` are what a notebook needs: one function per command, and the classes of their
arguments and results. Each is imported on first use, so that `import ctrbench` imports neither
torch nor numpy. `ctrbench.datasets` and `ctrbench.embeddings` have further functions.
"""

from ctrbench.lazy import exported

__version__ = "0.1.0"
_MODULES = {  # name -> module that defines it; `__init__.pyi` repeats them for type checkers
    "ComparisonTable": "ctrbench.analysis.table",
    "ConfigError": "ctrbench.errors",
    "ContractError": "ctrbench.errors",
    "CtrBenchError": "ctrbench.errors",
    "DataError": "ctrbench.errors",
    "DivergedError": "ctrbench.errors",
    "Drawn": "ctrbench.figures",
    "Matrix": "ctrbench.api.matrices",
    "Run": "ctrbench.api.matrices",
    "Slice": "ctrbench.slices",
    "Source": "ctrbench.embeddings",
    "StoreError": "ctrbench.errors",
    "UnknownNameError": "ctrbench.errors",
    "Workspace": "ctrbench.workspace",
    "advise": "ctrbench.api.advising",
    "codebook": "ctrbench.api.versions",
    "compare": "ctrbench.api.decisions",
    "cost": "ctrbench.api.drawing",
    "curve": "ctrbench.api.drawing",
    "datasets": "ctrbench.datasets",
    "draw": "ctrbench.api.drawing",
    "embeddings": "ctrbench.embeddings",
    "encode": "ctrbench.api.serving",
    "explain": "ctrbench.api.drawing",
    "export": "ctrbench.api.serving",
    "frame": "ctrbench.api.results",
    "history": "ctrbench.api.drawing",
    "export_predictions": "ctrbench.api.decisions",
    "import_predictions": "ctrbench.api.decisions",
    "init": "ctrbench.api.matrices",
    "list_names": "ctrbench.api.versions",
    "merge_results": "ctrbench.api.upkeep",
    "notices": "ctrbench.api.matrices",
    "orphans": "ctrbench.api.upkeep",
    "pack": "ctrbench.api.matrices",
    "plan_cells": "ctrbench.api.matrices",
    "list_cells": "ctrbench.api.matrices",
    "run_cell": "ctrbench.api.matrices",
    "plot": "ctrbench.api.drawing",
    "power": "ctrbench.api.decisions",
    "pretrain": "ctrbench.api.versions",
    "ranks": "ctrbench.api.decisions",
    "read_matrix": "ctrbench.api.matrices",
    "register": "ctrbench.api.session",
    "render": "ctrbench.reports",
    "report": "ctrbench.api.drawing",
    "results": "ctrbench.api.results",
    "run": "ctrbench.api.matrices",
    "screen": "ctrbench.api.matrices",
    "status": "ctrbench.api.matrices",
    "tables": "ctrbench.api.matrices",
    "tune": "ctrbench.api.matrices",
    "verify_results": "ctrbench.api.upkeep",
    "write_decision": "ctrbench.reports",
}
__all__ = [*_MODULES]  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = exported(globals(), _MODULES)
