"""Injection modes: how image vectors enter the CTR model. `_base` describes the contract."""

from ctrbench.injection._base import Images, Injected, Injection, Prepared
from ctrbench.injection._loading import (
    BASELINE,
    code_hash,
    load_mode,
    mode_class,
    mode_names,
    takes_list,
    usable_modes,
)

__all__ = [
    "BASELINE",
    "Images",
    "Injected",
    "Injection",
    "Prepared",
    "code_hash",
    "load_mode",
    "mode_class",
    "mode_names",
    "takes_list",
    "usable_modes",
]
