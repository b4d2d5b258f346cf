"""Names of a package that other modules define, imported on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def exported(
    namespace: dict[str, Any], modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and `__dir__` of a package.

    Args:
        namespace: The globals of the package; they receive each name on its first use.
        modules: Name -> the module that defines it. A name equal to the last part of its module is
            the module itself.
    """
    package = namespace["__name__"]

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(modules[name])
        own = modules[name] == f"{package}.{name}"
        value = module if own else getattr(module, name)
        namespace[name] = value
        return value

    def listed() -> list[str]:
        return sorted({*namespace, *modules})

    return get, listed
