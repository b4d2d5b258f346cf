"""How image vectors enter the CTR model: one mode, one file; see `_base` for the contract."""

from ctrbench.injection._base import Images, Injected, Injection, Prepared
from ctrbench.injection._loading import BASELINE, code_hash, load_mode, takes_list

__all__ = [
    "BASELINE",
    "Images",
    "Injected",
    "Injection",
    "Prepared",
    "code_hash",
    "load_mode",
    "takes_list",
]
