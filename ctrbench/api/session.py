"""Contenders that a notebook or a script defines."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar

from ctrbench import plugins
from ctrbench.api.inputs import described
from ctrbench.errors import ConfigError
from ctrbench.identity import hash_class
from ctrbench.injection import Injection

KINDS = {  # package of the contract -> what it is
    "ctrbench.injection": "an injection mode (Injection)",
    "ctrbench.metrics": "a metric (Metric)",
    "ctrbench.slices": "a rule of slices (SliceRule)",
    "ctrbench.reports": "a table format (Report)",
    "ctrbench.figures": "a kind of figure (Figure)",
}
NAME = r"[a-z][a-z0-9_]{0,63}"
Class = TypeVar("Class", bound=type[Any])


def register(name: str) -> Callable[[Class], Class]:
    """Return a decorator that adds a class to this session: a mode, metric, slice rule, and so on.

    Matrices, tables and figures of this session then accept the name. A class that is defined again
    replaces the earlier one. Cells with such a mode, and all cells while a metric is registered,
    are trained in this process, one at a time. A mode without its own `revision` gets one from its
    code, so that cells are trained again after each edit.

    Args:
        name: A name of small letters, digits and `_`.

    Raises:
        ConfigError: The name is not valid, or a built-in contender has it, or the class is no
            contender, or lacks a method or attribute of its contract.

    >>> import ctrbench
    >>> import numpy as np
    >>> from ctrbench.slices import SliceRule
    >>> @ctrbench.register("first_half")
    ... class FirstHalf(SliceRule):
    ...     title = "first half of the period"
    ...
    ...     def mask(self, impressions, rows):
    ...         row = np.arange(rows.stop - rows.start)
    ...         return row < len(row) / 2
    >>> ctrbench.Slice(rule="first_half").title
    'first half of the period'
    """
    if not (isinstance(name, str) and re.fullmatch(NAME, name)):
        raise ConfigError(
            f"name {name!r} is not valid: use small letters, digits and _, as in "
            '@ctrbench.register("brightness").'
        )

    def add(contender: Class) -> Class:
        package = _package(contender, name)
        missing = sorted(getattr(contender, "__abstractmethods__", ()))
        contract = next(one for one in contender.__mro__ if _is_contract(one, package))
        missing += [
            one
            for one in inspect.get_annotations(contract)
            if one in ("title",) and not hasattr(contender, one)
        ]
        if missing:
            raise ConfigError(f"{contender.__name__} lacks {', '.join(missing)}; define it.")
        plugins.register(package, name, contender)
        if issubclass(contender, Injection) and "revision" not in vars(contender):
            contender.revision = int(hash_class(contender)[:8], 16)
        return contender

    return add


def _package(contender: object, name: str) -> str:
    if isinstance(contender, type):
        for package in KINDS:
            if any(_is_contract(one, package) for one in contender.__mro__[1:]):
                return package
        what = f"class {contender.__name__}"
    else:
        what = described(contender)
    raise ConfigError(f"{name}: {what} cannot be registered; give {', '.join(KINDS.values())}.")


def _is_contract(one: type, package: str) -> bool:
    return one.__module__ == f"{package}._base"
