"""Reads, checks and writes embedding versions: `embeddings/<dataset>/<version>/`.

A version is a (V, D) table of the given vectors and a (V,) mask of the items that have one; rows
follow item_id. A version is immutable under its name. Vectors are joined by item id, never by row
order.
"""

from ctrbench.embeddings._nearest import pairs
from ctrbench.embeddings.deriving import Fitting, derive_version
from ctrbench.embeddings.guards import LARGE_COSINE, Context, check_version
from ctrbench.embeddings.joining import add_version
from ctrbench.embeddings.registering import register, registered
from ctrbench.embeddings.statistics import (
    Coverage,
    Shares,
    Statistics,
    coverage,
    describe_vectors,
    percent,
    shares,
)
from ctrbench.embeddings.versions import (
    datasets,
    names,
    numbered_codes,
    open_version,
    read_manifest,
    remove_version,
    require_intact,
    stored_records,
)
from ctrbench.lazy import exported
from ctrbench.schema import GivenVersion, Source

__all__ = [
    "LARGE_COSINE",
    "Context",
    "Coverage",
    "Fitting",
    "GivenVersion",
    "Shares",
    "Source",
    "Statistics",
    "add_version",
    "check_version",
    "coverage",
    "datasets",
    "derive_version",
    "describe_vectors",
    "names",
    "numbered_codes",
    "open_version",
    "pairs",
    "percent",
    "read_manifest",
    "register",
    "registered",
    "remove_version",
    "require_intact",
    "shares",
    "stored_records",
]
_API: dict[str, str] = (
    dict.fromkeys(  # what a notebook calls; `__init__.pyi` repeats them for type checkers
        ("add", "check", "derive", "describe", "list", "open", "quality", "remove", "sheet"),
        "ctrbench.api.embeddings",
    )
)
__getattr__, __dir__ = exported(globals(), _API)
