import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ctrbench.json_text import as_json, plain
from ctrbench.schema import Control


@dataclass(frozen=True)
class Inner:
    value: float


@dataclass(frozen=True)
class Named:
    name: str

    def plain(self) -> str:
        return self.name


@dataclass(frozen=True)
class Outer:
    named: Named
    inner: tuple[Inner, ...]
    by_size: dict[int, float]


def test_dataclasses_become_objects():
    outer = Outer(Named("a"), (Inner(1.5), Inner(math.nan)), {50: math.inf})
    expected = {"named": "a", "inner": [{"value": 1.5}, {"value": None}], "by_size": {"50": None}}
    assert json.loads(as_json(outer)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([1.0, np.nan]), [1.0, None]),
        (np.float64("nan"), None),
        (np.int64(3), 3),
        (Path("a/b"), "a/b"),
        (True, True),
        (Control(kind="random"), {"kind": "random", "within": None}),
        ({"b"}, ["b"]),
    ],
)
def test_values(value, expected):
    assert plain(value) == expected


def test_value_without_json_form_is_an_error():
    with pytest.raises(TypeError, match="bytes"):
        plain(b"a")
