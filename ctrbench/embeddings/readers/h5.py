"""`.h5`, `.hdf5`: data sets `key` and `value`, as FuxiCTR writes them, or others by name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ctrbench.embeddings.readers._base import (
    Reader,
    Source,
    VectorBlock,
    array_blocks,
    array_names,
    check_numbers,
)
from ctrbench.embeddings.readers._ids import ids_of
from ctrbench.errors import ConfigError, DataError
from ctrbench.raw_ids import as_text


class Hdf5(Reader):
    """Reads slices of data sets on demand; a data set in a group is named `group/name`."""

    has_arrays = True

    def blocks(self, source: Source, scratch: Path) -> Iterator[VectorBlock]:
        """See `Reader`."""
        path, h5py = source.vectors, _h5py()
        try:
            with h5py.File(path, "r") as file:
                key, value = array_names(_names(file), source)
                vectors = file[value]
                check_numbers(vectors.dtype, path)
                ids = _ids(file[key], f"{path}, {key}") if key else ids_of(source)
                yield from array_blocks(ids, vectors, vectors.shape, path)
        except OSError as error:
            raise DataError(
                f"{path} is not a complete HDF5 file: {error}. Save or copy it again."
            ) from error


def _h5py() -> Any:
    """Return the package h5py, which is optional.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise ConfigError("HDF5 files require `pip install ctrbench[h5]`.") from error


def _names(file: Any) -> list[str]:
    """Return the paths of all data sets."""
    h5py = _h5py()
    found = list[str]()
    file.visititems(lambda name, one: found.append(name) if isinstance(one, h5py.Dataset) else None)
    return found


def _ids(dataset: Any, where: str) -> list[str]:
    """Return ids; text of variable length is stored as objects."""
    if dataset.ndim == 1 and _h5py().check_string_dtype(dataset.dtype):
        try:
            return as_text(dataset.asstr()[:].tolist(), where)
        except UnicodeDecodeError as error:
            raise DataError(f"{where}: ids are not text in UTF-8: {error}.") from error
    if dataset.ndim != 1:
        raise DataError(f"{where}: ids have shape {dataset.shape}, but must be one list.")
    return as_text(dataset[:], where)
