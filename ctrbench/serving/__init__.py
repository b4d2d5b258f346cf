"""A trained cell as a folder for a serving team: model, tables, features, golden inputs, checks."""

from ctrbench.serving.encoding import Encoded, encode
from ctrbench.serving.exporting import Exported, export
from ctrbench.serving.loading import load

__all__ = ["Encoded", "Exported", "encode", "export", "load"]
