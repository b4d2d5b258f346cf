"""Readers of vector files, one per file extension; the name of the module is the extension.

A reader is the only public subclass of `Reader` in its file. It yields `VectorBlock`s of ids and
vectors in bounded memory and never loads pickled data.
"""

from ctrbench.embeddings.readers._base import Reader, Source, VectorBlock
from ctrbench.embeddings.readers._reading import named_up_to_dot, read

__all__ = ["Reader", "Source", "VectorBlock", "named_up_to_dot", "read"]
