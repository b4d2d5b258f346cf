"""`.pt`, `.pth`: a plain tensor with an ids file, or a dictionary of ids and a tensor."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ctrbench.embeddings.readers._base import (
    NO_PICKLE,
    Reader,
    Source,
    VectorBlock,
    array_blocks,
    array_names,
    check_numbers,
)
from ctrbench.embeddings.readers._ids import ids_of
from ctrbench.embeddings.readers._json import ids_of_values
from ctrbench.embeddings.readers._packed import check_expansion
from ctrbench.embeddings.readers._tensors import Rows, as_array
from ctrbench.errors import DataError
from ctrbench.raw_ids import as_text

ZIP, PICKLE = b"PK", b"\x80"  # first bytes of files of torch.save, since version 1.6 and before
ALONE = "the tensor"  # the name of a tensor without a dictionary


class Pt(Reader):
    """Reads a memory-mapped file without running code of it."""

    has_arrays = True

    def blocks(self, source: Source, scratch: Path) -> Iterator[VectorBlock]:
        """See `Reader`."""
        import torch

        path = source.vectors
        found = _loaded(path)
        found = {ALONE: found} if isinstance(found, torch.Tensor) else found
        if not isinstance(found, dict):
            raise DataError(
                f"{path} contains {type(found).__name__} instead of a tensor, or of a dictionary "
                "of ids and a tensor."
            )
        named = {str(n): value for n, value in found.items() if isinstance(n, str | int)}
        usable = [name for name, value in named.items() if isinstance(value, torch.Tensor | list)]
        key, value = array_names(usable, source)
        tensor = named[value]
        dense = isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided
        if not dense or tensor.device.type != "cpu":
            raise DataError(f"{path}: {value!r} is not a dense tensor of vectors.")
        for name in (key, value):
            _check_stored(named.get(name or ""), f"{path}, {name!r}")
        kind = str(tensor.dtype).removeprefix("torch.")
        check_numbers("float32" if kind == "bfloat16" else kind, path)
        ids = _ids(named[key], f"{path}, {key}") if key else ids_of(source)
        yield from array_blocks(ids, Rows(tensor.detach()), tuple(tensor.shape), path)


def _loaded(path: Path) -> Any:
    """Return the content of a file without running code of it.

    Raises:
        DataError: The file contains other objects than tensors and plain values, or is damaged.
    """
    import torch

    with path.open("rb") as file:
        start = file.read(2)
    if start != ZIP and start[:1] != PICKLE:
        raise DataError(f"{path} is not a complete file of torch.save. Save or copy it again.")
    try:
        with warnings.catch_warnings():  # about pickles of other programs
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=start == ZIP)
    except pickle.UnpicklingError as error:
        raise DataError(f"{path}: {NO_PICKLE}") from error
    except Exception as error:  # unpicklers raise various classes
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{path} is not a complete file of torch.save: {reason}. Save or copy it again."
        ) from error


def _check_stored(tensor: Any, where: str) -> None:
    """Check that a tensor does not repeat a few numbers, as the result of `expand` does."""
    import torch

    if isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided:
        stored = tensor.untyped_storage().nbytes()
        check_expansion(tensor.numel() * tensor.element_size(), stored, where)


def _ids(found: Any, where: str) -> list[str]:
    if isinstance(found, list):
        return ids_of_values(found, where)
    try:
        ids = as_array(found.detach())
    except (TypeError, RuntimeError) as error:  # sparse, quantised or without numbers
        raise DataError(f"{where} is not a plain tensor of ids: {error}") from error
    return as_text(ids, where)
