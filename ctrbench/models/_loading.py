"""Loads backbones by name, and the compiled loops of `kernels.c`.

Functions import torch when they need it.
"""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from typing import TYPE_CHECKING, Any

from ctrbench import plugins

if TYPE_CHECKING:
    from torch import Tensor

    from ctrbench.models._base import Backbone

PACKAGE = "ctrbench.models"
VERSION = 1  # of the names and arguments of the loops; equals `loops_version` in kernels.c


def backbone_names() -> list[str]:
    """Return the sorted names of all backbones, built-in and installed."""
    return plugins.names(PACKAGE)


def load_backbone(name: str) -> type[Backbone]:
    """Return the class of a backbone.

    Raises:
        UnknownNameError: no backbone has this name.
        ContractError: the file does not define exactly one backbone.
    """
    from ctrbench.models._base import Backbone

    return plugins.load(PACKAGE, name, Backbone, "backbone")


@cache
def load_loops() -> ctypes.CDLL | None:
    """Return the compiled loops, or None if the installation has none of this version.

    Without a C compiler the installation has none, and every layer uses its torch implementation.
    """
    spec = importlib.util.find_spec("ctrbench.models._compiled")
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
    """Call a compiled loop; it trusts the given sizes and does not check bounds.

    Args:
        name: the name of the function in kernels.c.
        arguments: the arguments in the order of the function; it writes its outputs in place.

    Raises:
        TypeError: a tensor is not contiguous, not on the CPU, or neither float32 nor int64.
    """
    given: list[Any] = []
    for argument in arguments:
        if isinstance(argument, int):
            given.append(ctypes.c_int64(argument))
        else:
            if not _plain(argument):
                raise TypeError(
                    f"{name}: {argument.dtype} of shape {tuple(argument.shape)} and strides "
                    f"{argument.stride()} on {argument.device} cannot be passed to a compiled loop."
                )
            given.append(ctypes.c_void_p(argument.data_ptr()))
    getattr(load_loops(), name)(*given)


def _plain(values: Tensor) -> bool:
    import torch

    of_loops = values.dtype in (torch.float32, torch.int64)
    return of_loops and values.device.type == "cpu" and values.is_contiguous()
