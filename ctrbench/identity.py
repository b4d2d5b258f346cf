"""What makes two things the same: hashes over logical content, never over file bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ctrbench.arrays import blocks

HASH_LENGTH = 16  # hexadecimal digits kept: 64 bits


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no blanks, so that equal values give equal text.

    >>> canonical_json({"b": 1, "a": [1.0, None]})
    '{"a":[1.0,null],"b":1}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def hash_json(value: Any) -> str:
    """Hash of a JSON-able value, whatever the order of its keys."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:HASH_LENGTH]


def hash_files(path: Path) -> str:
    """Hash of a file's bytes, or of all files of a folder with their names."""
    content = ContentHash()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        content.array(
            file.name,
            np.memmap(file, np.uint8, mode="r") if file.stat().st_size else np.empty(0, np.uint8),
        )
    return content.hexdigest()


class ContentHash:
    """A hash fed piece by piece with named arrays and texts, however these are chunked."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def text(self, name: str, values: Iterable[str]) -> None:
        """Feed a sequence of strings, each with its length, so that no two sequences collide."""
        self._hash.update(f"\0{name}\0".encode())
        for value in values:
            data = value.encode()
            self._hash.update(len(data).to_bytes(4, "little") + data)

    def array(self, name: str, values: np.ndarray) -> None:
        """Feed an array's dtype, shape and little-endian bytes, a block of rows at a time."""
        self._hash.update(
            f"\0{name}\0{values.dtype.newbyteorder('<').str}\0{values.shape}\0".encode()
        )
        for rows in blocks(len(values)):
            block = np.ascontiguousarray(values[rows])
            self._hash.update(block.astype(block.dtype.newbyteorder("<"), copy=False).data)

    def hexdigest(self) -> str:
        """The hash so far."""
        return self._hash.hexdigest()[:HASH_LENGTH]
