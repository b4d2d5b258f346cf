"""Null versions made from a real one: what is left of a delta without the images' information.

One control, one file; the file's name is its kind. A control is the one public subclass of
`NullVersion` in its file. Coverage never changes, and each seed draws its own.
"""

from ctrbench.controls._base import NullVersion, apply

__all__ = ["NullVersion", "apply"]
