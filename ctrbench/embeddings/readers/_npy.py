"""Opens a `.npy` file as a memory map."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError  # raised by numpy for some damaged headers

import numpy as np

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
        with np.errstate(over="ignore"):  # damaged headers may give impossible sizes
            array = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, TypeError, EOFError, OverflowError, TokenError) as error:
        if "Python objects" in str(error):
            raise DataError(f"{where} is an array of Python objects; {NO_PICKLE}") from error
        raise DataError(f"{where} is not a complete .npy file: {error}. Save it again.") from error
    return array
