"""Opens a `.npy` file as a memory map."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctrbench.arrays import NPY_ERRORS, map_npy
from ctrbench.embeddings.readers._base import NO_PICKLE
from ctrbench.errors import DataError


def open_npy(path: Path, shown: str = "") -> np.memmap:
    """Return the array of a file, memory-mapped and read-only.

    Args:
        path: The file.
        shown: The name of the file in messages; the path by default.

    Raises:
        DataError: The file is truncated, not a `.npy` file, or contains pickled objects.
    """
    where = shown or str(path)
    with path.open("rb") as file:
        pickled = file.read(1) == b"\x80"
    if pickled:
        raise DataError(f"{where}: {NO_PICKLE}")
    try:
        return map_npy(path)
    except NPY_ERRORS as error:
        if "Python objects" in str(error):
            raise DataError(f"{where} is an array of Python objects; {NO_PICKLE}") from error
        raise DataError(f"{where} is not a complete .npy file: {error}. Save it again.") from error
