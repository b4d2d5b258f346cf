"""Hashes of logical content, which identify data sets, versions and cells."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from ctrbench.arrays import BLOCK_BYTES, blocks, release, rows_within

HASH_LENGTH = 16  # hexadecimal digits kept: 64 bits


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and without blanks, so that equal values have equal text.

    >>> canonical_json({"b": 1, "a": [1.0, None]})
    '{"a":[1.0,null],"b":1}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def hash_json(value: Any) -> str:
    """Return the hash of a JSON value; the order of its keys does not matter."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:HASH_LENGTH]


def hash_files(path: Path) -> str:
    """Return the hash of a file's bytes, or of all files of a folder with their names."""
    content = ContentHash()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        content.array(
            file.name,
            np.memmap(file, np.uint8, mode="r") if file.stat().st_size else np.empty(0, np.uint8),
        )
    return content.hexdigest()


def hash_code(path: Path) -> str:
    """Return the hash of a Python file without its comments, docstrings and layout."""
    tree = ast.parse(path.read_bytes())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hash_json(ast.unparse(tree))


def hash_class(contender: type[Any]) -> str:
    """Return a hash of the code of a class, whose file may contain anything or not exist.

    It covers methods and plain class attributes of the class, not of its bases.
    """
    parts = {
        name: _code(value)
        for name, value in vars(contender).items()
        if not name.startswith(("__", "_abc_", "model_"))
    }
    fields = getattr(contender, "model_fields", {})
    return hash_json([parts, {name: repr(field.default) for name, field in fields.items()}])


def _code(value: Any) -> Any:
    """Return the code of a function, or the text of a plain value, as JSON."""
    value = getattr(value, "fget", getattr(value, "__func__", value))  # of a property, a method
    code = getattr(value, "__code__", value)
    if not isinstance(code, CodeType):
        plain = value is None or isinstance(value, str | int | float | tuple)
        return repr(value) if plain else type(value).__name__
    document = getattr(value, "__doc__", None)
    constants = [_code(one) for one in code.co_consts if one is None or one != document]
    return [code.co_code.hex(), list(code.co_names), list(code.co_varnames), constants]


class ContentHash:
    """An incremental hash of named arrays and texts, independent of their chunks."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def text(self, name: str, values: Iterable[str]) -> None:
        """Add a sequence of strings, each with its length, so that no two sequences collide.

        Args:
            name: The name of the sequence.
            values: The strings.
        """
        self._hash.update(f"\0{name}\0".encode())
        for value in values:
            data = value.encode()
            self._hash.update(len(data).to_bytes(4, "little") + data)

    def array(self, name: str, values: np.ndarray) -> None:
        """Add an array's dtype, shape and little-endian bytes, one block of rows at a time.

        Args:
            name: The name of the array.
            values: (n, ...) array of any dtype.
        """
        self._hash.update(
            f"\0{name}\0{values.dtype.newbyteorder('<').str}\0{values.shape}\0".encode()
        )
        row_bytes = values.nbytes // max(1, len(values))
        for rows in blocks(len(values), rows_within(row_bytes, BLOCK_BYTES)):
            block = np.ascontiguousarray(values[rows])
            self._hash.update(block.astype(block.dtype.newbyteorder("<"), copy=False).data)
            release(values)

    def hexdigest(self) -> str:
        """Return the hash of everything added so far."""
        return self._hash.hexdigest()[:HASH_LENGTH]
