"""`.npz`: arrays `key` and `value`, or one array beside an ids file."""

from __future__ import annotations

import errno
import lzma
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ctrbench.embeddings.readers._base import (
    Block,
    Reader,
    Source,
    array_blocks,
    array_names,
    check_numbers,
    require_ids,
)
from ctrbench.embeddings.readers._ids import read_ids
from ctrbench.embeddings.readers._npy import open_npy
from ctrbench.errors import DataError
from ctrbench.raw_ids import as_text

DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, ValueError, NotImplementedError, RuntimeError),
)  # all that zipfile raises on bytes that are no archive


class Npz(Reader):
    """Unpacks each array to the scratch folder (checked against its checksum) and maps it."""

    def blocks(self, source: Source, scratch: Path) -> Iterator[Block]:
        """See `Reader`."""
        key, value = array_names(_names(source.vectors), source)
        if key:
            ids = as_text(_unpack(source.vectors, key, scratch / "ids.npy"), source.vectors)
        else:
            ids = read_ids(require_ids(source))
        vectors = _unpack(source.vectors, value, scratch / "vectors.npy")
        check_numbers(vectors.dtype, source.vectors)
        return array_blocks(ids, vectors, vectors.shape, source.vectors)


def _names(path: Path) -> list[str]:
    with _whole_archive(path), zipfile.ZipFile(path) as archive:
        return [name[:-4] for name in archive.namelist() if name.endswith(".npy")]


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
            raise  # the disk's trouble, not the archive's
        raise DataError(
            f"{path} is not a whole .npz archive: {error}. Save or copy it again."
        ) from error
