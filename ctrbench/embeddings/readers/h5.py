"""`.h5`, `.hdf5`: data sets `key` and `value`, as FuxiCTR writes them, or others by name."""

from __future__ import annotations

import errno
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ctrbench.arrays import blocks
from ctrbench.embeddings.readers._base import (
    MOST_ID_BYTES,
    Reader,
    Source,
    VectorBlock,
    array_blocks,
    array_names,
    check_numbers,
)
from ctrbench.embeddings.readers._ids import ids_of
from ctrbench.embeddings.readers._packed import check_expansion
from ctrbench.errors import ConfigError, DataError
from ctrbench.raw_ids import as_text

TEXT_ROWS = 256  # ids read at a time


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
                for name in (key, value):
                    _check_stored(file, name, path)
                check_numbers(vectors.dtype, path)
                ids = _ids(file[key], f"{path}, {key}") if key else ids_of(source)
                yield from array_blocks(ids, vectors, vectors.shape, path)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
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


def _check_stored(file: Any, name: str | None, path: Path) -> None:
    """Check that the numbers of a data set are in the file, and not much fewer than it claims.

    Raises:
        DataError: They are in another file, or the data set is mostly empty or repeats itself.
    """
    if name is None:
        return
    found = file[name]
    if found.external or found.is_virtual:
        raise DataError(
            f"{path}, {name}: the content is in other files, which are not read. Copy it into one "
            "file, for example with h5repack."
        )
    stored = found.id.get_storage_size()
    check_expansion(found.size * found.dtype.itemsize, stored, f"{path}, {name}")


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
            return as_text(_texts(dataset, where), where)
        except UnicodeDecodeError as error:
            raise DataError(f"{where}: ids are not text in UTF-8: {error}.") from error
    if dataset.ndim != 1:
        raise DataError(f"{where}: ids have shape {dataset.shape}, but must be one list.")
    return as_text(dataset[:], where)


def _texts(dataset: Any, where: str) -> list[str]:
    """Return ids of text; many of them may refer to one long text of the file.

    Raises:
        DataError: An id is too long.
    """
    found = list[str]()
    for rows in blocks(len(dataset), TEXT_ROWS):
        texts = dataset.asstr()[rows].tolist()
        longest = max(map(len, texts))
        if longest > MOST_ID_BYTES:
            raise DataError(f"{where}: an id has {longest:,} characters, too many for an id.")
        found += texts
    return found
