"""Ids in files of vectors follow docs/data.md, or are rejected.

The rule is written here a second time, in plain Python; the code has it as SQL.
"""

import csv
import re
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyarrow import feather
from safetensors.numpy import save_file

from ctrbench.embeddings.readers import Source, read
from ctrbench.errors import DataError

FEW = settings(max_examples=8, deadline=None)
ODD = ["007", "7", "7.0", "NA", "null", "None", "nan", "", " x", "x ", "1e5", "1.0E7", "-0", "+7"]
ODD += ["1E+07", "1.23456E+17", "12E5", "1e16", "x\xa0", "x\t"]
TEXT = st.one_of(
    st.sampled_from(ODD),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False).map(str),
    # numpy's text ends before NUL, and files cannot contain half a surrogate pair
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
)
INTEGERS = [np.dtype(f"{sign}{bytes_}") for sign in "iu" for bytes_ in (1, 2, 4, 8)]
FLOATS = [np.dtype(f"f{bytes_}") for bytes_ in (2, 4, 8)]


def _some(values):
    return st.lists(values, min_size=1, max_size=4, unique=True)


@st.composite
def _numbers(draw):
    """Return (n,) integers or floats of any width."""
    dtype = draw(st.sampled_from([*INTEGERS, *FLOATS]))
    if dtype.kind == "f":
        whole = st.integers(-(2**11), 2**11).map(float)
        values = st.one_of(whole, st.floats(width=8 * dtype.itemsize))
    else:
        values = st.integers(np.iinfo(dtype).min, np.iinfo(dtype).max)
    order = draw(st.sampled_from("<>"))
    return np.array(draw(_some(values)), dtype.newbyteorder(order))


NUMBERS = _numbers()
TEXTS = _some(TEXT)
DECIMALS = _some(st.decimals(-(10**20), 10**20, places=2, allow_nan=False))


def _vectors(ids):
    return np.arange(2 * len(ids), dtype=np.float32).reshape(-1, 2) + 1


def _npz(folder, ids):
    np.savez(folder / "v.npz", key=ids, value=_vectors(ids))
    return Source(folder / "v.npz")


def _npy(folder, ids):
    np.save(folder / "v.npy", _vectors(ids))
    np.save(folder / "ids.npy", ids)
    return Source(folder / "v.npy", folder / "ids.npy")


def _safetensors(folder, ids):
    ids = np.ascontiguousarray(ids.astype(ids.dtype.newbyteorder("=")))
    save_file({"key": ids, "value": _vectors(ids)}, folder / "v.safetensors")
    return Source(folder / "v.safetensors")


def _table(ids):
    return pa.table({"item_id": ids, "v": pa.array(_vectors(ids).tolist())})


def _parquet(folder, ids):
    pq.write_table(_table(ids), folder / "v.parquet")
    return Source(folder / "v.parquet")


def _feather(folder, ids):
    feather.write_feather(_table(ids), folder / "v.feather")
    return Source(folder / "v.feather")


def _pandas_parquet(folder, ids):
    frame = pd.DataFrame({"item_id": ids, "v": list(_vectors(ids))})
    frame.to_parquet(folder / "v.parquet")
    return Source(folder / "v.parquet")


def _pandas_csv(folder, ids):
    frame = pd.DataFrame(_vectors(ids), columns=["d0", "d1"])
    frame.insert(1, "item_id", ids)
    frame.to_csv(folder / "v.csv.gz", index=False)
    return Source(folder / "v.csv.gz")


def _arrow_csv(folder, ids):
    table = pa.table({"item_id": ids, "d0": _vectors(ids)[:, 0], "d1": _vectors(ids)[:, 1]})
    arrow_csv.write_csv(table, folder / "v.csv")
    return Source(folder / "v.csv")


def _written_csv(folder, ids, ending="csv", separator=","):
    with (folder / f"v.{ending}").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, delimiter=separator)
        rows.writerow(["item_id", "v"])
        rows.writerows(
            [raw, list(map(float, vector))] for raw, vector in zip(ids, _vectors(ids), strict=True)
        )
    return Source(folder / f"v.{ending}")


def _written_tsv(folder, ids):
    return _written_csv(folder, ids, "tsv", "\t")


def _ids_csv(folder, ids):
    np.save(folder / "v.npy", _vectors(ids))
    with (folder / "ids.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerows([["item_id"], *([raw] for raw in ids)])
    return Source(folder / "v.npy", folder / "ids.csv")


def _ids_txt(folder, ids):
    np.save(folder / "v.npy", _vectors(ids))
    (folder / "ids.txt").write_text("".join(f"{raw}\n" for raw in ids), "utf-8")
    return Source(folder / "v.npy", folder / "ids.txt")


def _found(write: Callable, ids) -> list[str] | None:
    """Return the ids of the reader; None if it rejects them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "scratch").mkdir()
        source = write(folder, ids)
        try:
            blocks = list(read(source, folder / "scratch"))
        except DataError:
            return None
        vectors = np.concatenate([block.vectors for block in blocks])
        np.testing.assert_array_equal(vectors, _vectors(ids))
        return [raw for block in blocks for raw in block.ids]


def _of_text(ids: list[str]) -> list[str] | None:
    """Return text unchanged; None if an id is missing."""
    return None if "" in ids else list(ids)


def _of_numbers(ids: np.ndarray) -> list[str] | None:
    """Return integers as digits; None if one has a fraction or is an ambiguous float."""
    exact = {2: 2**11, 4: 2**24, 8: 2**53}[ids.dtype.itemsize] if ids.dtype.kind == "f" else np.inf
    whole = [np.isfinite(one) and one == int(one) and abs(one) < exact for one in ids.tolist()]
    return [str(int(one)) for one in ids.tolist()] if all(whole) else None


def _of_decimals(ids: list[Decimal]) -> list[str] | None:
    """Return the same as for numbers; no number is too large."""
    return [str(int(one)) for one in ids] if all(one == int(one) for one in ids) else None


def _of_a_file(ids: list[str]) -> list[str] | None:
    """Return floats if all are numbers and some are floats, else text."""
    if any(map(_is_float, ids)) and all(_is_float(raw) or _is_integer(raw) for raw in ids):
        found = [_of_numbers(np.array([float(raw)])) if _is_float(raw) else [raw] for raw in ids]
        return [one[0] for one in found if one] if all(found) else None
    return _of_text(ids)


def _is_integer(raw: str) -> bool:
    digits = raw.removeprefix("-")
    return _are_digits(digits) and (digits == "0" or digits[0] != "0")


def _are_digits(raw: str) -> bool:
    return raw != "" and set(raw) <= set("0123456789")


def _is_float(raw: str) -> bool:
    mark = next((letter for letter in raw if letter in "eE"), "")
    number, _, power = raw.partition(mark) if mark else (raw, "", "")
    whole, point, places = number.partition(".")
    if not _is_integer(whole) or (places and not _are_digits(places)):
        return False
    if not mark:
        return bool(point)
    if point and not places:
        return False
    if power.startswith("+"):
        return _are_digits(power[1:])
    if mark == "E":  # as Java
        return bool(point) and _are_digits(power)
    return _are_digits(power) and len(power) == 2 and int(power) >= 16  # as Rust


def _padded(ids: list[str]) -> bool:
    return any(raw != raw.strip(" \t") for raw in ids)


@pytest.mark.parametrize("write", [_written_csv, _written_tsv, _ids_csv, _ids_txt])
@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        ("1001.0", "1001"),
        ("1001.", "1001"),
        ("-7.00", "-7"),
        ("-0.0", "0"),
        ("1.0E7", "10000000"),  # Java
        ("1E+07", "10000000"),  # Excel
        ("1.5E+1", "15"),
        ("1e+15", "1000000000000000"),
        ("9.007199254740991E+15", "9007199254740991"),
        ("9007199254740992.0", None),  # 2^53, or one more
        ("1.23456E+17", None),  # Excel has dropped digits
        ("1e16", None),
        ("1e+999", None),
        ("12.5", None),
        ("1.5E+0", None),
        ("12E5", "12E5"),  # a code
        ("1e5", "1e5"),
        ("1,5", "1,5"),
        ("+7.0", "+7.0"),
        ("007.0", "007.0"),
        ("x\xa0", "x\xa0"),
        (" x", None),
        ("x\t", None),
    ],
)
def test_spellings_of_whole_numbers(write, raw, meant):
    assert _found(write, [raw, "42"]) == (None if meant is None else [meant, "42"])


NUMBERED = [_npz, _npy, _safetensors, _parquet, _feather, _pandas_parquet]
ARROW_TEXT = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int32(), pa.string()),
]


@pytest.mark.parametrize("write", NUMBERED)
@FEW
@given(ids=NUMBERS)
def test_numbers_have_a_type(write, ids):
    if write in (_parquet, _feather, _pandas_parquet):  # Arrow requires native byte order
        ids = ids.astype(ids.dtype.newbyteorder("="))
    assert _found(write, ids) == _of_numbers(ids)


@pytest.mark.parametrize("write", [_pandas_csv, _written_csv, _ids_csv, _ids_txt])
@FEW
@given(ids=NUMBERS)
def test_numbers_written_as_text(write, ids):
    found = _found(write, ids if write is _pandas_csv else ids.tolist())
    if write is not _pandas_csv:
        assert found == _of_a_file([str(raw) for raw in ids.tolist()])
    typed = _of_numbers(ids)
    assert found is None or typed is None or found == typed


@pytest.mark.parametrize("write", [_npz, _npy])
@FEW
@given(ids=TEXTS)
def test_text_of_numpy(write, ids):
    assert _found(write, np.array(ids)) == _of_text(ids)
    assert _found(write, np.array([raw.encode() for raw in ids])) == _of_text(ids)


@pytest.mark.parametrize("write", [_parquet, _feather])
@pytest.mark.parametrize("kind", ARROW_TEXT, ids=str)
@FEW
@given(ids=TEXTS)
def test_text_of_arrow(write, kind, ids):
    assert _found(write, pa.array(ids, pa.string()).cast(kind)) == _of_text(ids)


@pytest.mark.parametrize("write", [_pandas_csv, _arrow_csv, _written_csv, _written_tsv, _ids_csv])
@FEW
@given(ids=TEXTS)
def test_text_without_a_type(write, ids):
    if write is _pandas_csv:  # does not quote a carriage return
        ids = [raw.replace("\r", "-") for raw in ids]
    assert _found(write, ids) == (None if _padded(ids) else _of_a_file(ids))


@FEW
@given(ids=TEXTS)
def test_text_with_one_id_per_line(ids):
    ids = [re.sub(r"[\r\n\ufeff]", "-", raw) for raw in ids]  # line ends, and a mark that is not
    expected = None if _padded(ids) else _of_a_file(ids)
    assert _found(_ids_txt, ids) in (expected, None)  # empty lines at the end are ignored


@pytest.mark.parametrize("write", [_parquet, _feather])
@FEW
@given(ids=DECIMALS)
def test_decimals(write, ids):
    column = pa.array(ids, pa.decimal128(30, 2))
    assert _found(write, column) == _of_decimals(ids)


@pytest.mark.parametrize("write", [_written_csv, _ids_csv, _ids_txt])
@FEW
@given(ids=DECIMALS)
def test_decimals_written_as_text(write, ids):
    found, typed = _found(write, ids), _of_decimals(ids)
    assert found == _of_a_file([str(raw) for raw in ids])
    assert found is None or typed is None or found == typed


@FEW
@given(raw=TEXT)
def test_names_of_files(raw):
    assume(raw and "/" not in raw)
    with tempfile.TemporaryDirectory() as name:
        np.save(Path(name) / f"{raw}.npy", np.ones(2, np.float32))
        try:
            found = [one for block in read(Source(Path(name)), Path(name)) for one in block.ids]
        except DataError:
            found = None
    left_out = raw.startswith((".", "_"))
    assert found == (None if left_out or _padded([raw]) else _of_a_file([raw]))
