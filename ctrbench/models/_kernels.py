"""The compiled loops of `kernels.c`, if they were built; without them all goes the plain way."""

from __future__ import annotations

import ctypes
import importlib.util
from typing import Any

import torch
from torch import Tensor


def _load() -> ctypes.CDLL | None:
    """The library that the installation built, where it found a C compiler."""
    spec = importlib.util.find_spec("ctrbench.models._compiled")
    return ctypes.CDLL(spec.origin) if spec is not None and spec.origin else None


library = _load()


def usable(values: Tensor) -> bool:
    """Whether the loops can work on a tensor; a graph that is exported cannot hold them."""
    return (
        library is not None
        and not torch.compiler.is_compiling()
        and values.device.type == "cpu"
        and values.dtype == torch.float32
        and len(values) > 0
    )


def run(name: str, *arguments: Tensor | int) -> None:
    """Call a loop; its tensors must be contiguous, float32 or int64 as kernels.c has them."""
    given: list[Any] = []
    for argument in arguments:
        if isinstance(argument, int):
            given.append(ctypes.c_int64(argument))
        else:
            assert argument.is_contiguous(), name
            given.append(ctypes.c_void_p(argument.data_ptr()))
    getattr(library, name)(*given)
