"""Encoders: networks that turn pictures into vectors, one per file.

The file name is the name of the encoder. An encoder is the only public subclass of `Encoder` in its
file; its fields are its settings.
"""

from ctrbench.pretraining.encoders._base import PACKAGE, Encoder, configured

__all__ = ["PACKAGE", "Encoder", "configured"]
