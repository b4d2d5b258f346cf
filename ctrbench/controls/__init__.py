"""Controls: null versions that remove the image information from a real version.

One file defines one control; the file name is its kind. A control is the only public subclass of
`NullVersion` in its file. A control keeps the coverage of the version. Each seed draws its own
control.
"""

from ctrbench.controls._base import NullVersion, apply, apply_to_fields, is_sibling

__all__ = ["NullVersion", "apply", "apply_to_fields", "is_sibling"]
