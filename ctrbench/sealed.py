"""Checksums of stored files, so that damage and edits are noticed when a file is read.

A JSON file carries the hash of its other content. Arrays carry the hash of the file and the name of
their owner in the comment of their zip archive, which other readers ignore. Files without a
checksum, from before they had one, are accepted.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ctrbench.arrays import NPY_ERRORS
from ctrbench.atomic import atomic_file, write_json
from ctrbench.errors import DamagedError
from ctrbench.identity import HASH_LENGTH, hash_json

CHECKSUM = "checksum"  # key in a JSON file
MARK = b"ctrbench:"  # start of the comment of a file of arrays
COMMENT = len(MARK) + 2 * HASH_LENGTH  # bytes: mark, owner, hash
ENTRY_ERRORS = (
    *(OSError, KeyError, MemoryError, NotImplementedError, RuntimeError, struct.error),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, *NPY_ERRORS),
)  # raised by zipfile and numpy for damaged archives
MOST_BYTES = 1 << 30  # of unpacked arrays; more if the file itself is large
MOST_EXPANSION = 100


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its checksum."""
    return {**value, CHECKSUM: hash_json(value)}


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object with its checksum, atomically.

    Args:
        path: The file.
        value: The content, without NaN.

    Raises:
        StoreError: The folder cannot be written.
    """
    write_json(path, sealed(value))


def opened(path: Path, text: str | bytes) -> str:
    """Return the JSON of a file without its checksum, which must be right.

    Args:
        path: The file, for the message.
        text: Its content.

    Raises:
        DamagedError: The content is no JSON object, or differs from its checksum.
    """
    try:
        value = json.loads(text)
        known = value.pop(CHECKSUM, None)
        differs = known is not None and known != hash_json(value)
    except (ValueError, RecursionError, AttributeError, TypeError) as error:
        raise DamagedError(f"{path} is damaged: it is no JSON object ({error}). {CURE}") from error
    if differs:
        raise DamagedError(f"{path} is damaged or was edited: its checksum differs. {CURE}")
    return json.dumps(value)


def is_sealed(path: Path) -> bool:
    """Return whether a valid JSON file has a checksum."""
    return CHECKSUM in json.loads(path.read_bytes())


def write_arrays(path: Path, owner: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as float32 with their owner and checksum, atomically.

    Args:
        path: The .npz file.
        owner: A hash, the cell to which the arrays belong.
        arrays: The arrays by name.

    Raises:
        StoreError: The folder cannot be written.
    """
    content = io.BytesIO()
    short: Any = {key: values.astype(np.float32) for key, values in arrays.items()}
    np.savez_compressed(content, **short)
    with zipfile.ZipFile(content, "a") as archive:
        archive.comment = bytes(COMMENT)
    body = content.getvalue()[:-COMMENT]
    with atomic_file(path) as temporary:
        temporary.write_bytes(body + MARK + owner.encode() + _hash(body))


def check_arrays(path: Path, owner: str) -> bytes:
    """Return the content of a file of arrays whose owner and checksum are right.

    Args:
        path: The file.
        owner: The expected owner.

    Raises:
        DamagedError: The file is damaged, or belongs to another owner.
        OSError: The file cannot be read.
    """
    content = path.read_bytes()
    body, comment = content[:-COMMENT], content[-COMMENT:]
    if not comment.startswith(MARK):  # from before files had a checksum, or cut short
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(content)):
            return content
        raise DamagedError(f"{path} is damaged: it is no whole .npz file. {CURE}")
    theirs = comment[len(MARK) : -HASH_LENGTH].decode(errors="replace")
    if comment[-HASH_LENGTH:] != _hash(body):
        raise DamagedError(f"{path} is damaged: its checksum differs. {CURE}")
    if theirs != owner:
        raise DamagedError(f"{path} belongs to the cell {theirs}, not to {owner}. {CURE}")
    return content


def read_arrays(path: Path, owner: str) -> dict[str, np.ndarray]:
    """Return the float32 arrays of a file by name; empty if the file does not exist.

    Args:
        path: The file.
        owner: The expected owner.

    Raises:
        DamagedError: The file is damaged, or belongs to another owner.
    """
    try:
        content = check_arrays(path, owner)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > max(MOST_BYTES, MOST_EXPANSION * len(content)):
            raise DamagedError(f"{path} is damaged: it unpacks to {size:,} bytes. {CURE}")
        with warnings.catch_warnings(), np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            warnings.simplefilter("ignore")  # about impossible sizes, and headers of Python 2
            return dict(arrays)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ENTRY_ERRORS as error:
        raise DamagedError(f"{path} is damaged ({error}). {CURE}") from error


def _hash(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:HASH_LENGTH].encode()


CURE = "Restore it, or run the benchmark file again, which makes it anew."
