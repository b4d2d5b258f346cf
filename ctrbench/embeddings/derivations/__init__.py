"""Ways to make one embedding version out of another, one file each; the file's name is the method.

A derivation is the one public subclass of `Derivation` in its file, with a frozen `Config`. It is
fitted on some items' vectors and then applied to all.
"""

from ctrbench.embeddings.derivations._base import Derivation, Fitted, configured

__all__ = ["Derivation", "Fitted", "configured"]
