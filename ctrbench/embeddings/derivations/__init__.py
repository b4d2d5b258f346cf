"""Derivations: methods that create an embedding version from another, one per file.

The file name is the name of the method. A derivation is the only public subclass of `Derivation` in
its file; its fields are its settings. It is fitted on the vectors of some items and applied to all.
"""

from ctrbench.embeddings.derivations._base import Derivation, Fitted, configured

__all__ = ["Derivation", "Fitted", "configured"]
