"""Loads the compiled loops of `kernels.c`. Functions import torch when they need it."""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 3  # of the names and arguments of the loops; equals `loops_version` in kernels.c
BLOCK_ROWS = 96  # equals BLOCK in kernels.c; rows of scratch arrays


@cache
def load_loops() -> ctypes.CDLL | None:
    """Return the compiled loops, or None if the installation has no loops of this version.

    Without a C compiler it has none, and every layer uses its torch implementation.
    """
    spec = importlib.util.find_spec("ctrbench.loops._compiled")
    if spec is None or not spec.origin:
        return None
    library = ctypes.CDLL(spec.origin)
    loops_version = getattr(library, "loops_version", None)
    return library if loops_version is not None and loops_version() == VERSION else None


def usable(values: Tensor) -> bool:
    """Return whether the compiled loops support a tensor.

    They support neither export and compilation of a graph nor autocast, which uses half precision.
    """
    import torch

    return (
        not torch.compiler.is_compiling()
        and load_loops() is not None
        and not torch.is_autocast_enabled("cpu")
        and values.device.type == "cpu"
        and values.dtype == torch.float32
        and len(values) > 0
    )


def run_loop(name: str, *arguments: Tensor | int) -> None:
    """Call a compiled loop, which does not check sizes or bounds.

    Args:
        name: The name of the function in kernels.c.
        arguments: The arguments in the order of the function; it writes its outputs in place.

    Raises:
        TypeError: A tensor is not contiguous, not on the CPU, or neither float32 nor int64.
    """
    loop = _loop(name, tuple(isinstance(argument, int) for argument in arguments))
    loop(*(given if isinstance(given, int) else _address(name, given) for given in arguments))


@cache
def _loop(name: str, sizes: tuple[bool, ...]) -> Any:
    """Return a compiled loop whose arguments are sizes or addresses, in this order."""
    loop = getattr(load_loops(), name)
    loop.argtypes = [ctypes.c_int64 if size else ctypes.c_void_p for size in sizes]
    return loop


def _address(name: str, values: Tensor) -> int:
    import torch

    of_loops = values.dtype is torch.float32 or values.dtype is torch.int64
    if not (of_loops and values.is_cpu and values.is_contiguous()):
        raise TypeError(
            f"{name}: {values.dtype} of shape {tuple(values.shape)} and strides "
            f"{values.stride()} on {values.device} cannot be passed to a compiled loop."
        )
    return values.data_ptr()
