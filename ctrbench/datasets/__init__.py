"""WHAT was shown and clicked: importers of public formats, one file each.

A public file of this folder defines one subclass of `Importer`, whose docstring is the contract.
Another installed package adds an importer by an entry point in the group `ctrbench.datasets`.
"""

from ctrbench.datasets._base import Importer

__all__ = ["Importer"]
