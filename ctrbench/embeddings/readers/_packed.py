"""Limits of compressed files: a small file may unpack to more than memory and disk can hold."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.errors import DataError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ALWAYS = 1 << 24  # bytes that any file may unpack to
MOST_EXPANSION = 100  # numbers and ids do not compress to a hundredth


def check_expansion(unpacked: int, packed: int, where: object) -> None:
    """Check that a file does not unpack to far more than its size.

    Args:
        unpacked: The size in memory or on disk, in bytes, as far as it is known.
        packed: The size of the file in bytes.
        where: The file, for the message.

    Raises:
        DataError: It unpacks to more than `ALWAYS` bytes and more than `MOST_EXPANSION` times its
            size.
    """
    if unpacked > max(ALWAYS, MOST_EXPANSION * packed):
        raise DataError(
            f"{where}: {packed:,} bytes unpack to {unpacked:,} bytes or more, which is over "
            f"{MOST_EXPANSION} times as much: the content repeats itself, or the file is damaged. "
            "If it is right, save it without compression."
        )


def opened(path: Path) -> io.BufferedReader:
    """Open a text file for reading its bytes, unpacked if its name ends with `.gz`."""
    return io.BufferedReader(_Unpacked(path)) if path.suffix.lower() == ".gz" else path.open("rb")


class _Unpacked(io.RawIOBase):
    """The content of a gzip file.

    Reading raises a DataError if the file is damaged, or at the limit of `check_expansion`.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, gzip.GzipFile(path)
        self._size, self._read = path.stat().st_size, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read into a buffer and return the number of bytes, 0 at the end."""
        try:
            count = self._file.readinto(buffer)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(
                f"{self._path} cannot be read: {error}. Save or copy it again."
            ) from error
        self._read += count
        check_expansion(self._read, self._size, self._path)
        return count

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
