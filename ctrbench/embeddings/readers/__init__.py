"""Readers of vector files, one file each; the file's name is the extension it reads.

A reader is the one public subclass of `Reader` in its file. It yields `Block`s of ids and vectors
in bounded memory and never unpickles anything.
"""

from ctrbench.embeddings.readers._base import Block, Reader, Source
from ctrbench.embeddings.readers._reading import read

__all__ = ["Block", "Reader", "Source", "read"]
