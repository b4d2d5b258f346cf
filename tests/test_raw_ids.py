"""One rule for ids: every type gives the same text for the same item, or an error."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from ctrbench.errors import DataError
from ctrbench.raw_ids import as_text


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        (np.array([1001, -5]), ["1001", "-5"]),
        (np.array([2**64 - 59], np.uint64), ["18446744073709551557"]),
        (np.array([1001.0, -0.0]), ["1001", "0"]),
        (np.array([1001], ">i8"), ["1001"]),
        (np.array([1001], ">f4"), ["1001"]),
        (np.array(["1001"], ">U4"), ["1001"]),
        (np.array([2.0**53 - 1]), ["9007199254740991"]),
        (np.array([7.0], np.float16), ["7"]),
        (np.array(["007", "NA", "null", "None", "7.0"]), ["007", "NA", "null", "None", "7.0"]),
        (np.array([b"1001"]), ["1001"]),
        (pa.array([Decimal("1001.00")]), ["1001"]),
        (pa.array([Decimal(10) ** 60], pa.decimal256(70, 2)), ["1" + 60 * "0"]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array(["a"], pa.string_view()), ["a"]),
        (pa.array([b"1001"]), ["1001"]),
    ],
)
def test_ids_of_each_type(ids: np.ndarray | pa.Array, text: list[str]) -> None:
    assert as_text(ids, "here") == text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (["1001.0", "7"], ["1001", "7"]),
        (["1.5E7", "9007199254740993"], ["15000000", "9007199254740993"]),
        (["1001.0", "007"], ["1001.0", "007"]),  # a column of text
        (["1001.0", "NA"], ["1001.0", "NA"]),
        (["1e5", "3e7"], ["1e5", "3e7"]),  # no program writes floats in this form
        (["12E5", "1200000"], ["12E5", "1200000"]),
        (["1E+07", "5"], ["10000000", "5"]),  # Excel writes floats in this form
        (["007", "7"], ["007", "7"]),
    ],
)
def test_text_contains_floats_only_if_all_values_are_numbers(
    written: list[str], text: list[str]
) -> None:
    assert as_text(written, "ids.csv", typed=False) == text


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.array([1.5]), r"1 .*fraction.*: row 1 \(1.5\)"),
        (np.array([1, np.inf]), r"1 id.s. are infinite"),
        (np.array([2.0**53]), r"2\^53 or more"),
        (np.array([2.0**24], np.float32), r"2\^24 or more"),
        (np.array([2048], np.float16), r"2\^11 or more"),
        (np.array([np.nan]), r"1 id.s. are missing: row 1"),
        (np.array(["", "a"]), r"1 id.s. are missing: row 1"),
        (np.array([b"\xff"]), "UTF-8"),
        (np.array([[1]]), "must be one list"),
        (np.array([1], object), "must be one list"),
        (pa.array([Decimal("1001.50")]), "have a fraction"),
        (pa.array([Decimal("1001.50")], pa.decimal256(70, 2)), "have a fraction"),
        (pa.array([[1]]), r"of type BIGINT\[\]"),
        (pa.array([["a"]]), r"of type VARCHAR\[\]"),
        (pa.array([[Decimal("1.5")]]), r"of type DECIMAL"),
        (pa.array([True]), "of type BOOLEAN"),
    ],
)
def test_invalid_ids_are_errors(ids: np.ndarray | pa.Array, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_text(ids, "here")


@pytest.mark.parametrize(
    "written", [["1.0", "1.1"], ["1e16", "5"], ["1.2345678901234568e+18"], ["1.23456E+17"]]
)
def test_ambiguous_text_ids_are_errors(written: list[str]) -> None:
    with pytest.raises(DataError, match=r"fraction|2\^53"):
        as_text(written, "ids.csv", typed=False)


def test_ids_that_a_spreadsheet_rounded():
    exact = [203252836115 + 7 * i for i in range(10)]
    written = [f"{one + 10**9 * i:.5e}" for i, one in enumerate(exact)]  # 6 of 12 digits
    with pytest.raises(DataError) as error:
        as_text(written, "ids.csv", typed=False)
    assert str(error.value) == (
        f"ids.csv: all ids in scientific notation, such as {min(written)}, are multiples of "
        "1,000: a program rounded them. Export them again as integers or text."
    )
    thousands = [f"{i}E+06" for i in range(1, 10)]  # too few to tell
    assert as_text(thousands, "ids.csv", typed=False)[0] == "1000000"
    java = [f"{one / 10**11:.11f}E11" for one in exact]
    assert as_text(java, "ids.csv", typed=False) == [str(one) for one in exact]
