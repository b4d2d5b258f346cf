"""A data set as files of other libraries: the same split, histories and user states."""

from ctrbench.exporting.writing import FORMATS, Exported, export

__all__ = ["FORMATS", "Exported", "export"]
