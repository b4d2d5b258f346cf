"""Ids of a log: in every format they are preserved or refused."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ctrbench.datasets.table import TableImporter
from ctrbench.errors import DataError
from ctrbench.impressions import raw_item_ids
from ctrbench.workspace import Workspace
from tests.datasets.imports import run
from tests.impressions.logs import long_log

WRITERS = {
    "parquet": lambda frame, path: frame.to_parquet(path.with_suffix(".parquet"), index=False),
    "csv": lambda frame, path: frame.to_csv(path.with_suffix(".csv"), index=False),
    "tsv": lambda frame, path: frame.to_csv(path.with_suffix(".tsv"), index=False, sep="\t"),
}
TYPES = {
    "int64": lambda ids: np.array(ids, np.int64),
    "uint64": lambda ids: np.array(ids, np.uint64),
    "float64": lambda ids: np.array(ids, np.float64),
    "float32": lambda ids: np.array(ids, np.float32),
    "decimal": lambda ids: [Decimal(i).quantize(Decimal("0.01")) for i in ids],
    "text": lambda ids: [str(i) for i in ids],
    "category": lambda ids: pd.Categorical([str(i) for i in ids]),
    "nullable": lambda ids: pd.array(ids, "UInt64"),
}


def imported(frame, kind):
    """Return the items of the data set made from a table, in its order; None if refused."""
    with tempfile.TemporaryDirectory() as folder:
        WRITERS[kind](frame, Path(folder) / "log")
        workspace = Workspace(Path(folder) / "home")
        try:
            run(workspace, TableImporter([str(next(Path(folder).glob("log.*")))]))
        except DataError:
            return None
        return raw_item_ids(workspace, "log")


def log_of(ids):
    frame = pd.DataFrame(long_log())
    places = [i % len(ids) for i in range(len(frame))]
    return frame.assign(item_id=pd.Series(ids)[places].array)


NUMBERS = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5000), min_size=2, max_size=5)


@settings(max_examples=40, deadline=None)
@given(ids=NUMBERS, kind=st.sampled_from(list(WRITERS)), kept=st.sampled_from(list(TYPES)))
@example(ids=[2**53, 2**53 + 1], kind="csv", kept="float64")
@example(ids=[2**63, 2**64 - 1], kind="parquet", kept="uint64")
@example(ids=[1, 1001], kind="csv", kept="decimal")
@example(ids=[0, 2**24 - 1], kind="csv", kept="float32")
def test_whole_numbers_of_any_type(ids, kind, kept):
    try:
        column = TYPES[kept](ids)
    except OverflowError:
        return  # the type has no such number
    ids = [int(i) for i in column]  # as stored
    if kept == "float32" and kind != "parquet" and max(ids) >= 2**24:
        return  # written with the fewest digits that restore the float, which is another number
    found = imported(log_of(column), kind)
    assert found is None or found == sorted({str(i) for i in ids}, key=int)
    exact = kept in ("int64", "uint64", "text", "category", "nullable") or max(ids) < 2**24
    assert found is not None or not exact


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)
SPECIAL = st.sampled_from(
    ["007", "7", "NA", "null", "None", "nan", "7.0", "1e5", "1.50", " x", "-"]
)


@settings(max_examples=60, deadline=None)
@given(ids=st.lists(WORDS | SPECIAL, min_size=2, max_size=4), kind=st.sampled_from(list(WRITERS)))
@example(ids=["7", "07", "007"], kind="csv")
@example(ids=["NA", "null"], kind="csv")
@example(ids=[" a", "a"], kind="csv")
def test_text_of_any_kind(ids, kind):
    found = imported(log_of(ids), kind)
    if found is None:
        assert not all(word.isalnum() for word in ids)
        return
    floats = all(_is_number(word) for word in ids) and any("." in word for word in ids)
    wanted = {str(int(float(i))) for i in ids} if floats and kind != "parquet" else set(ids)
    assert set(found) == wanted


def _is_number(word):
    return word.isascii() and word.replace(".", "", 1).isdigit() and not _padded(word)


def _padded(word):
    return len(word) > 1 and word.startswith("0") and not word.startswith("0.")


@pytest.mark.parametrize("ids", [["007", "7", "07"], ["NA", "null", "None"], ["ä", "中", "a b"]])
@pytest.mark.parametrize("kind", list(WRITERS))
def test_ordinary_text_is_accepted(ids, kind):
    assert set(imported(log_of(ids), kind)) == set(ids)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1], [2]] * 30), r"'item_id' are of type BIGINT\[\]"),
        (pa.array([1.5, 2.0] * 30), r"'item_id' have a fraction: row 1 \(1.5\)"),
        (pa.array([float("inf"), 2.0] * 30), "'item_id' are infinite"),
        (pa.array([2.0**53, 2.0] * 30), r"'item_id' are floating-point numbers of 2\^53 or more"),
        (pa.array(np.array([2048, 2] * 30, np.float16)), r"numbers of 2\^11 or more"),
        (pa.array([Decimal("1.50"), Decimal(2)] * 30), "'item_id' have a fraction"),
        (pa.array([True, False] * 30), "'item_id' are of type BOOLEAN"),
    ],
)
def test_invalid_ids(tmp_path, column, message):
    table = pa.Table.from_pylist(long_log()).set_column(1, "item_id", column)
    pq.write_table(table, tmp_path / "log.parquet")
    with pytest.raises(DataError, match=message):
        run(Workspace(tmp_path / "home"), TableImporter([str(tmp_path / "log.parquet")]))


def test_blanks_around_an_id_in_a_text_file(tmp_path):
    (tmp_path / "a.csv").write_text("user_id,item_id,click,timestamp\n1, a,1,1\n")
    with pytest.raises(DataError, match=r"'item_id' begin or end with a blank: line 2 .*separator"):
        run(Workspace(tmp_path / "home"), TableImporter([str(tmp_path / "a.csv")]))


@pytest.mark.parametrize("history", [[[1.0, 3.0]], [[Decimal("1.00"), Decimal("3.00")]]])
def test_items_in_histories_have_the_same_ids(tmp_path, history):
    rows = [r | {"item_id": int(r["item_id"])} for r in long_log()]
    table = pa.Table.from_pylist(rows).append_column("history", pa.array(history * len(rows)))
    pq.write_table(table, tmp_path / "log.parquet")
    workspace = Workspace(tmp_path / "home")
    run(workspace, TableImporter([str(tmp_path / "log.parquet")]))
    assert raw_item_ids(workspace, "log") == list("0123456")


def test_floats_in_text_are_decided_for_all_columns_of_items(tmp_path):
    frame = log_of(["1.0", "2.0", "x"]).assign(history="1.0|2.0")
    frame.to_csv(tmp_path / "log.csv", index=False)
    workspace = Workspace(tmp_path / "home")
    run(workspace, TableImporter([str(tmp_path / "log.csv")], lists=["history=|"]))
    assert set(raw_item_ids(workspace, "log")) == {"1.0", "2.0", "x"}
