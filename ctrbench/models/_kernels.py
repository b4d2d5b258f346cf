"""The compiled loops of `kernels.c`, if they were built; without them all goes the plain way."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from ctrbench.models._library import load_loops

library = load_loops()


def usable(values: Tensor) -> bool:
    """Whether the loops can work on a tensor; a graph that is exported cannot hold them.

    Nor do they under autocast, whose matrix products come in half precision.
    """
    return (
        library is not None
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and values.device.type == "cpu"
        and values.dtype == torch.float32
        and len(values) > 0
    )


def run(name: str, *arguments: Tensor | int) -> None:
    """Call a loop on tensors as kernels.c has them; it reads memory by the sizes alone.

    Raises:
        TypeError: a tensor is not contiguous, not on the CPU, neither float32 nor int64.
    """
    given: list[Any] = []
    for argument in arguments:
        if isinstance(argument, int):
            given.append(ctypes.c_int64(argument))
        else:
            if not _plain(argument):
                raise TypeError(
                    f"{name}: {argument.dtype} of shape {tuple(argument.shape)} and strides "
                    f"{argument.stride()} on {argument.device} cannot go into a compiled loop."
                )
            given.append(ctypes.c_void_p(argument.data_ptr()))
    getattr(library, name)(*given)


def _plain(values: Tensor) -> bool:
    of_loops = values.dtype in (torch.float32, torch.int64)
    return of_loops and values.device.type == "cpu" and values.is_contiguous()
