"""`.npz`: arrays `key` and `value`, or one array and an ids file."""

from __future__ import annotations

import errno
import lzma
import math
import shutil
import struct
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ctrbench.arrays import NPY_ERRORS
from ctrbench.embeddings.readers._base import (
    MOST_ID_BYTES,
    NO_PICKLE,
    Reader,
    Source,
    VectorBlock,
    array_blocks,
    array_names,
    check_count,
    check_numbers,
    check_shape,
)
from ctrbench.embeddings.readers._ids import ids_of
from ctrbench.embeddings.readers._npy import open_npy
from ctrbench.embeddings.readers._packed import check_expansion
from ctrbench.errors import DataError
from ctrbench.raw_ids import as_text

DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(*NPY_ERRORS, NotImplementedError, RuntimeError),
)  # raised by zipfile and numpy for damaged archives


class Npz(Reader):
    """Unpacks each array to the scratch folder, with its checksum verified, and maps it.

    Shapes are checked before unpacking, because a small file can contain a huge array of zeros.
    """

    has_arrays = True

    def blocks(self, source: Source, scratch: Path) -> Iterator[VectorBlock]:
        """See `Reader`."""
        path = source.vectors
        key, value = array_names(_names(path), source)
        shape, dtype = _header(path, value)
        check_shape(shape, path)
        check_numbers(dtype, path)
        ids = _ids(path, key, shape[0], scratch) if key else ids_of(source)
        check_count(shape[0], len(ids), path)
        vectors = _unpack(path, value, scratch / "vectors.npy")
        return array_blocks(ids, vectors, shape, path)


def _names(path: Path) -> list[str]:
    with _whole_archive(path), zipfile.ZipFile(path) as archive:
        counts = Counter(archive.namelist())
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise DataError(f"{path} contains {twice[0]} twice, which is ambiguous. Save it again.")
    return [name[:-4] for name in counts if name.endswith(".npy")]


def _ids(path: Path, key: str, count: int, scratch: Path) -> list[str]:
    shape, dtype = _header(path, key)
    if len(shape) == 1:
        check_count(count, shape[0], path)
        if dtype.itemsize > MOST_ID_BYTES:
            raise DataError(f"{path}: ids are of type {dtype}, too long for ids.")
    return as_text(_unpack(path, key, scratch / "ids.npy"), path)


def _header(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and dtype of an array without unpacking it.

    Raises:
        DataError: The archive is damaged, or an array does not match its header.
    """
    with (
        _whole_archive(path),
        zipfile.ZipFile(path) as archive,
        archive.open(f"{name}.npy") as packed,
    ):
        first = np.lib.format.read_magic(packed) == (1, 0)
        read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        with warnings.catch_warnings():  # about headers of Python 2
            warnings.simplefilter("ignore")
            shape, _, dtype = read(packed)
        size = packed.tell() + math.prod(shape) * dtype.itemsize
        if dtype.hasobject:
            raise DataError(f"{path}, array {name!r} is an array of Python objects; {NO_PICKLE}")
        entry, whole = archive.getinfo(f"{name}.npy"), path.stat().st_size
        if entry.file_size != size:
            raise ValueError(f"array {name!r} does not have the size in its header")
        check_expansion(size, min(entry.compress_size, whole), f"{path}, array {name!r}")
    return shape, dtype


def _unpack(path: Path, name: str, target: Path) -> np.ndarray:
    with (
        _whole_archive(path),
        zipfile.ZipFile(path) as archive,
        archive.open(f"{name}.npy") as packed,
        target.open("wb") as unpacked,
    ):
        shutil.copyfileobj(packed, unpacked, 1 << 20)
    return open_npy(target, f"{path}, array {name!r}")


@contextmanager
def _whole_archive(path: Path) -> Iterator[None]:
    try:
        yield
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # an error of the disk, not of the archive
        raise DataError(
            f"{path} is not a complete .npz archive: {error}. Save or copy it again."
        ) from error
