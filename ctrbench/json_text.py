"""Result objects as JSON, the same way for every command and format."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from ctrbench.printable import escaped_json


@runtime_checkable
class Plain(Protocol):
    """An object that defines its JSON form."""

    def plain(self) -> object:
        """Return the JSON form of the object: plain values, or further result objects."""
        ...


def as_json(value: object) -> str:
    r"""Return an object as indented JSON text that ends with a newline.

    Args:
        value: A dataclass, a pydantic model, an array, or plain values, nested to any depth.

    Raises:
        TypeError: A value has no JSON form.

    >>> as_json([1, float("nan")])
    '[\n 1,\n null\n]\n'
    """
    text = json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False)
    return escaped_json(text) + "\n"


def as_json_line(value: object) -> str:
    r"""Return an object as one line of JSON, which ends with a newline.

    Args:
        value: As for `as_json`.

    Raises:
        TypeError: A value has no JSON form.

    >>> as_json_line({"hash": "ab", "gpus": 0})
    '{"hash": "ab", "gpus": 0}\n'
    """
    return escaped_json(json.dumps(plain(value), ensure_ascii=False, allow_nan=False)) + "\n"


def plain(value: object) -> Any:
    """Return an object as dicts, lists, text and numbers; NaN and infinity become None.

    A dataclass becomes a dict of its fields, unless it has a `plain` method.

    Raises:
        TypeError: A value has no JSON form.
    """
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Plain):
        return plain(value.plain())
    if isinstance(value, BaseModel):
        return plain(value.model_dump())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if hasattr(value, "tolist"):  # an array or a number of numpy
        return plain(getattr(value, "tolist")())  # noqa: B009
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [plain(inner) for inner in value]
    raise TypeError(f"{type(value).__name__} has no JSON form")
