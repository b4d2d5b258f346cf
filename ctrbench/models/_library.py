"""The compiled loops of `kernels.c` as the installation left them; torch is not imported."""

from __future__ import annotations

import ctypes
import importlib.util

VERSION = 1  # of the loops' names and arguments, as kernels.c tells it; raised with any change


def load_loops() -> ctypes.CDLL | None:
    """The library, where the installation found a C compiler and built this very version."""
    spec = importlib.util.find_spec("ctrbench.models._compiled")
    if spec is None or not spec.origin:
        return None
    library = ctypes.CDLL(spec.origin)
    told = getattr(library, "loops_version", None)
    return library if told is not None and told() == VERSION else None
