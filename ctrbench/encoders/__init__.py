"""Networks that turn pictures into vectors, one file each; the file's name is the encoder's.

An encoder is the one public subclass of `Encoder` in its file; its fields are its settings.
"""

from ctrbench.encoders._base import Encoder, configured

__all__ = ["Encoder", "configured"]
