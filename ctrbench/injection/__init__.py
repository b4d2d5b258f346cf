"""Injection modes: how image vectors enter the CTR model. `_base` describes the contract."""

from ctrbench.injection._base import Images, Injected, Injection, Prepared, unit_vectors
from ctrbench.injection._loading import (
    BASELINE,
    code_hash,
    load_mode,
    mode_class,
    mode_names,
    takes_list,
    usable_modes,
)
from ctrbench.injection._similarity import PairMode

__all__ = [
    "BASELINE",
    "Images",
    "Injected",
    "Injection",
    "PairMode",
    "Prepared",
    "code_hash",
    "load_mode",
    "mode_class",
    "mode_names",
    "takes_list",
    "unit_vectors",
    "usable_modes",
]
