"""WHAT was shown and clicked: importers of public formats, one file each.

A public file of this folder defines one subclass of `Importer`, whose docstring is the contract.
Another installed package adds an importer by an entry point in the group `ctrbench.datasets`.
"""

from ctrbench.datasets._base import Importer
from ctrbench.lazy import exported

__all__ = ["Importer"]
_API: dict[str, str] = (
    dict.fromkeys(  # what a notebook calls; `__init__.pyi` repeats them for type checkers
        (
            "check",
            "describe",
            "export",
            "files",
            "import_log",
            "import_table",
            "list",
            "open",
            "preview",
            "remove",
        ),
        "ctrbench.api.datasets",
    )
)
__getattr__, __dir__ = exported(globals(), _API)
