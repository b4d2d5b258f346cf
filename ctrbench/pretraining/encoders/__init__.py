"""Networks that turn pictures into vectors, one file each; the file's name is the encoder's.

An encoder is the one public subclass of `Encoder` in its file; its fields are its settings.
"""

from ctrbench.pretraining.encoders._base import PACKAGE, Encoder, configured

__all__ = ["PACKAGE", "Encoder", "configured"]
