"""Measure whether a new image embedding improves a CTR model, and which injection mode works best.

The names of `__all__` are what a notebook needs. Each is imported on first use, so that
`import ctrbench` imports neither torch nor numpy.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
_MODULES = {  # name -> module that defines it; `__init__.pyi` repeats them for type checkers
    "CtrBenchError": "errors",
    "Workspace": "workspace",
    "comparison_table": "analysis.matrices",
    "completed": "runner",
    "judged": "analysis.matrices",
    "long_table": "reports",
    "open_impressions": "impressions",
    "open_version": "embeddings",
    "read_matrix": "matrix",
    "render": "reports",
    "run_matrix": "runner",
}
__all__ = [*_MODULES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
