"""WHAT was shown and clicked: one importer per public format, one file each.

A public file here defines one subclass of `Importer`, whose docstring is the contract. Another
installed package adds one by an entry point in the group `ctrbench.datasets`.
"""

from ctrbench.datasets._base import Importer

__all__ = ["Importer"]
