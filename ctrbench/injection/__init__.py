"""How image vectors enter the CTR model: one mode, one file; see `_base` for the contract."""

from ctrbench.injection._base import Images, Injected, Injection, Prepared

__all__ = ["Images", "Injected", "Injection", "Prepared"]
