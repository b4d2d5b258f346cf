"""`.safetensors`: tensors `key` and `value`, or one tensor and an ids file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ctrbench.embeddings.readers._base import (
    Reader,
    Source,
    VectorBlock,
    array_blocks,
    array_names,
    check_numbers,
)
from ctrbench.embeddings.readers._ids import ids_of
from ctrbench.embeddings.readers._tensors import Rows
from ctrbench.errors import DataError
from ctrbench.raw_ids import as_text

DTYPES = {"F16": "float16", "F32": "float32", "F64": "float64", "I8": "int8", "BF16": "float32"}
KEYS = {"F16", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64"}


class Safetensors(Reader):
    """Reads slices of tensors on demand."""

    has_arrays = True

    def blocks(self, source: Source, scratch: Path) -> Iterator[VectorBlock]:
        """See `Reader`."""
        from safetensors import SafetensorError, safe_open

        path = source.vectors
        try:
            with safe_open(path, framework="np") as file:
                key, value = array_names(list(file.keys()), source)
                tensor = file.get_slice(value)
                kind = tensor.get_dtype()
                check_numbers(DTYPES.get(kind, kind), path)
                ids = _ids(file, key, path) if key else ids_of(source)
                shape = tuple(tensor.get_shape())
            framework = "pt" if kind == "BF16" else "np"  # numpy lacks bfloat16
            yield from array_blocks(ids, _Slices(path, value, framework), shape, path)
        except SafetensorError as error:
            raise DataError(
                f"{path} is not a complete .safetensors file: {error}. Save or copy it again."
            ) from error


@dataclass(frozen=True)
class _Slices:
    """Slices of a tensor as arrays; each opens the file, whose pages then leave the memory."""

    path: Path
    name: str
    framework: Literal["np", "pt"]

    def __getitem__(self, rows: slice) -> np.ndarray:
        from safetensors import safe_open

        with safe_open(self.path, framework=self.framework) as file:
            tensor = file.get_slice(self.name)
            return Rows(tensor)[rows] if self.framework == "pt" else tensor[rows]


def _ids(file: Any, key: str, path: Path) -> list[str]:
    kind = file.get_slice(key).get_dtype()
    if kind not in KEYS:
        raise DataError(f"{path}: ids are of type {kind}; save whole numbers, such as int64.")
    return as_text(file.get_tensor(key), path)
