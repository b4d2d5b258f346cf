"""An id of a file of vectors is the id that the log's side makes of it, or is refused."""

import csv
import re
import tempfile
from collections.abc import Callable
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
from ctrbench.raw_ids import as_text

FEW = settings(max_examples=8, deadline=None)
ODD = ["007", "7", "7.0", "NA", "null", "None", "nan", "", " x", "x ", "1e5", "1.0E7", "-0", "+7"]
TEXT = st.one_of(
    st.sampled_from(ODD),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False).map(str),
    # numpy's text ends before NUL, and no file holds half a surrogate pair
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
)
INTEGERS = [np.dtype(f"{sign}{bytes_}") for sign in "iu" for bytes_ in (1, 2, 4, 8)]
FLOATS = [np.dtype(f"f{bytes_}") for bytes_ in (2, 4, 8)]


def _some(values):
    return st.lists(values, min_size=1, max_size=4, unique=True)


@st.composite
def _numbers(draw):
    """(n,) integers or floats of any width."""
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
    """What the reader makes of the ids; None: it refuses them."""
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


def _meant(ids, typed) -> list[str] | None:
    """What the log's side makes of them; None: it refuses them."""
    try:
        return as_text(ids, "log", typed)
    except DataError:
        return None


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
    if write in (_parquet, _feather, _pandas_parquet):  # Arrow takes no other order of bytes
        ids = ids.astype(ids.dtype.newbyteorder("="))
    assert _found(write, ids) == _meant(ids, True)


@pytest.mark.parametrize("write", [_pandas_csv, _written_csv, _ids_csv, _ids_txt])
@FEW
@given(ids=NUMBERS)
def test_numbers_written_as_text(write, ids):
    found = _found(write, ids if write is _pandas_csv else ids.tolist())
    if write is not _pandas_csv:
        assert found == _meant([str(raw) for raw in ids.tolist()], False)
    typed = _meant(ids, True)
    assert found is None or typed is None or found == typed


@pytest.mark.parametrize("write", [_npz, _npy])
@FEW
@given(ids=TEXTS)
def test_text_of_numpy(write, ids):
    assert _found(write, np.array(ids)) == _meant(ids, True)
    assert _found(write, np.array([raw.encode() for raw in ids])) == _meant(ids, True)


@pytest.mark.parametrize("write", [_parquet, _feather])
@pytest.mark.parametrize("kind", ARROW_TEXT, ids=str)
@FEW
@given(ids=TEXTS)
def test_text_of_arrow(write, kind, ids):
    assert _found(write, pa.array(ids, pa.string()).cast(kind)) == _meant(ids, True)


@pytest.mark.parametrize("write", [_pandas_csv, _arrow_csv, _written_csv, _written_tsv, _ids_csv])
@FEW
@given(ids=TEXTS)
def test_text_without_a_type(write, ids):
    if write is _pandas_csv:  # leaves a carriage return without quotes
        ids = [raw.replace("\r", "-") for raw in ids]
    padded = any(raw != raw.strip() for raw in ids)
    assert _found(write, ids) == (None if padded else _meant(ids, False))


@FEW
@given(ids=TEXTS)
def test_text_a_line_each(ids):
    ids = [re.sub(r"[\r\n\ufeff]", "-", raw) for raw in ids]  # ends of lines, and of no line
    padded = any(raw != raw.strip() for raw in ids)
    expected = None if padded else _meant(ids, False)
    assert _found(_ids_txt, ids) in (expected, None)  # empty lines at the end are none


@pytest.mark.parametrize("write", [_parquet, _feather])
@FEW
@given(ids=DECIMALS)
def test_decimals(write, ids):
    column = pa.array(ids, pa.decimal128(30, 2))
    assert _found(write, column) == _meant(column, True)


@pytest.mark.parametrize("write", [_written_csv, _ids_csv, _ids_txt])
@FEW
@given(ids=DECIMALS)
def test_decimals_written_as_text(write, ids):
    found, typed = _found(write, ids), _meant(pa.array(ids, pa.decimal128(30, 2)), True)
    assert found == _meant([str(raw) for raw in ids], False)
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
    assert found == (None if raw != raw.strip() else _meant([raw], False))
