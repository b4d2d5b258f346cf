"""Data in memory: every library gives the data set of the same files; wrong data a message."""

import re
import shutil

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import ctrbench as cb
from ctrbench.embeddings import open_version
from ctrbench.importing import IMPORT_OPTIONS

ITEMS = 20


@pytest.fixture(scope="module")
def log():
    """Return columns of a log of 600 impressions."""
    rng = np.random.default_rng(0)
    return {
        "user_id": rng.integers(0, 12, 600),
        "item_id": rng.integers(0, ITEMS, 600),
        "click": rng.integers(0, 2, 600),
        "timestamp": np.arange(600) + 1_700_000_000,
    }


@pytest.fixture(scope="module")
def imported(log, tmp_path_factory):
    home = tmp_path_factory.mktemp("shop")
    cb.datasets.import_table(log, name="shop", progress=False, workspace=home)
    return home


@pytest.fixture
def shop(imported, tmp_path):
    """Return a workspace with the data set `shop`."""
    return shutil.copytree(imported, tmp_path / "home")


VECTORS = np.random.default_rng(1).normal(size=(ITEMS, 3)).astype("f4")
FRAMES = {
    "dict": dict,
    "pandas": pd.DataFrame,
    "indexed": lambda log: pd.DataFrame(log).set_index("user_id"),
    "nullable": lambda log: pd.DataFrame(log).convert_dtypes(),
    "polars": pl.DataFrame,
    "lazy": lambda log: pl.DataFrame(log).lazy(),
    "pyarrow": pa.table,
    "batch": lambda log: pa.table(log).to_batches()[0],
    "records": lambda log: pd.DataFrame(log).to_records(index=False),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_every_library_gives_the_data_set_of_a_file(log, kind, tmp_path):
    pd.DataFrame(log).to_csv(tmp_path / "log.csv", index=False)
    of_file = cb.datasets.import_table(
        tmp_path / "log.csv", name="shop", progress=False, workspace=tmp_path / "a"
    )
    made = cb.datasets.import_table(
        FRAMES[kind](log), name="shop", progress=False, workspace=tmp_path / "b"
    )
    assert made.described.manifest.content_hash == of_file.described.manifest.content_hash
    assert made.new


def test_impressions_by_period_and_items(log, tmp_path):
    table = pd.DataFrame(log).assign(history=[[1, 2]] * 600)
    parts = {"train": table[:400], "valid": pl.DataFrame(table[400:500]), "test": table[500:]}
    items = pd.DataFrame({"item_id": range(ITEMS), "colour": ["red", "blue"] * 10})
    made = cb.datasets.import_table(
        parts, name="shop", items=items, drop=["timestamp"], progress=False, workspace=tmp_path
    )
    assert made.described.manifest.periods == {
        "train": (0, 400),
        "valid": (400, 500),
        "test": (500, 600),
    }
    assert [field.name for field in made.described.manifest.fields] == ["colour"]


def test_options_that_another_import_repeats_contain_no_temporary_file(log, tmp_path):
    items = {"item_id": np.arange(ITEMS), "colour": np.arange(ITEMS) % 3}
    cb.datasets.import_table(
        log, name="shop", items=items, label="bought", progress=False, workspace=tmp_path
    )
    text = (tmp_path / "data" / "shop" / IMPORT_OPTIONS).read_text()
    assert text.splitlines()[1:] == ['label: "bought"']


IDS = [str(one) for one in range(ITEMS)]
SOURCES = {
    "numpy": (VECTORS, np.arange(ITEMS)),
    "float ids": (VECTORS, np.arange(ITEMS, dtype=float)),
    "text ids": (VECTORS, IDS),
    "Series of ids": (VECTORS, pd.Series(IDS)),
    "polars ids": (VECTORS, pl.Series(range(ITEMS))),
    "torch": (torch.from_numpy(VECTORS), range(ITEMS)),
    "list": (VECTORS.tolist(), IDS),
    "pandas": (pd.DataFrame({"item_id": IDS, "vector": list(VECTORS)}), None),
    "polars": (pl.DataFrame({"item_id": IDS, "vector": VECTORS}), None),
    "dict": ({"item_id": IDS, "vector": pa.array(list(VECTORS))}, None),
    "pyarrow": (pa.table({"item_id": IDS, "vector": list(VECTORS)}), None),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_vectors_of_every_library(shop, kind):
    vectors, ids = SOURCES[kind]
    made = cb.embeddings.add("v", vectors, ids=ids, dataset="shop", workspace=shop)
    table = cb.embeddings.open("v", dataset="shop", workspace=shop)
    raw = cb.datasets.open("shop", workspace=shop)
    assert made.manifest.items_with_vector == ITEMS
    order = [int(one) for one in raw_ids(shop)]
    np.testing.assert_allclose(table.vectors[1:], VECTORS[order], rtol=1e-6)
    assert raw.item_rows == ITEMS + 1


def raw_ids(home):
    from ctrbench.impressions import raw_item_ids

    return list(raw_item_ids(cb.Workspace(home), "shop"))


def test_fields_and_codes(shop):
    fields = {"image": VECTORS, "text": 2 * VECTORS}
    made = cb.embeddings.add("v", fields, ids=IDS, dataset="shop", workspace=shop)
    assert [one.reference for one in made.fields] == ["v:image", "v:text"]
    codes = np.arange(2 * ITEMS).reshape(ITEMS, 2) % 5
    cb.embeddings.add("c", codes, ids=IDS, codes=True, dataset="shop", workspace=shop)
    found = open_version(cb.Workspace(shop), "shop", "c", codes=True)
    order = [int(one) for one in raw_ids(shop)]
    # codes are renumbered by level; equal codes stay equal
    for level in range(2):
        given, stored = codes[order, level], found.vectors[1:, level]
        assert len(np.unique(np.stack([given, stored]), axis=1).T) == len(np.unique(given))


def test_bfloat16_of_torch(shop):
    half = torch.from_numpy(VECTORS).bfloat16()
    cb.embeddings.add("v", half, ids=IDS, dataset="shop", workspace=shop)
    table = cb.embeddings.open("v", dataset="shop", workspace=shop)
    order = [int(one) for one in raw_ids(shop)]
    np.testing.assert_array_equal(table.vectors[1:], half.float().numpy()[order])


WRONG_LOGS = {
    "Series": (
        lambda log: pd.Series(log["click"]),
        "impressions is a pandas Series, which is a single column; give a DataFrame.",
    ),
    "array": (
        lambda log: np.zeros((3, 4)),
        "impressions is a numpy ndarray; give a file, a DataFrame of pandas or polars, a table of "
        "pyarrow, or a dict of columns.",
    ),
    "number": (
        lambda log: 7,
        "impressions is an int; give a file, a DataFrame of pandas or polars, a table of pyarrow, "
        "or a dict of columns.",
    ),
    "unnamed columns": (
        lambda log: pd.DataFrame(np.zeros((3, 4))),
        "impressions (a pandas DataFrame) has columns that are not named by text, such as 0; "
        "rename them.",
    ),
    "repeated columns": (
        lambda log: pd.DataFrame(np.zeros((3, 2)), columns=["click", "click"]),
        "impressions (a pandas DataFrame) has several columns 'click'; rename them.",
    ),
    "no column": (
        lambda log: pd.DataFrame(index=range(3)),
        "impressions is a pandas DataFrame without columns; give a file, a DataFrame of pandas or "
        "polars, a table of pyarrow, or a dict of columns.",
    ),
    "unknown period": (
        lambda log: {"train": pd.DataFrame(log), "tst": pd.DataFrame(log)},
        "impressions (a dict) has tables for 'tst', not a period; the periods are pretrain, train, "
        "valid, test.",
    ),
    "no row": (
        lambda log: pd.DataFrame(log)[:0],
        "impressions (a pandas DataFrame) has no rows.",
    ),
    "missing column": (
        lambda log: pl.DataFrame(log).drop("user_id"),
        "these impressions cannot be used:\n  - impressions (a polars DataFrame): no column "
        "'user_id'; the columns are item_id, click, timestamp. Did you mean 'item_id'? --rename "
        "item_id=user_id",
    ),
    "NaN ids": (
        lambda log: pd.DataFrame(log).assign(user_id=[None, *["u"] * 599]),
        "these impressions cannot be used:\n  - impressions (a pandas DataFrame): 1 value(s) of "
        "'user_id' are missing: row 1; --drop-invalid 0.1% sets aside and counts up to that share "
        "of rows",
    ),
    "wrong clicks": (
        lambda log: pa.table(log | {"click": np.full(600, 2)}),
        "these impressions cannot be used:\n  - impressions (a pyarrow Table): 600 value(s) of "
        "'click' are neither 0 nor 1: row 1 (2), row 2 (2), row 3 (2), row 4 (2), row 5 (2); write "
        "0 or 1; write a rate as two weighted rows, one of clicks and one of non-clicks",
    ),
}


@pytest.mark.parametrize("kind", WRONG_LOGS)
def test_wrong_log_has_one_message(log, kind, tmp_path):
    make, text = WRONG_LOGS[kind]
    with pytest.raises(cb.DataError) as caught:
        cb.datasets.import_table(make(log), name="shop", progress=False, workspace=tmp_path)
    assert str(caught.value) == text


def test_columns_of_several_types_have_a_message(log, tmp_path):
    frame = pd.DataFrame(log).astype({"item_id": object})
    frame.loc[3, "item_id"] = "seven"
    with pytest.raises(cb.DataError) as caught:
        cb.datasets.import_table(frame, name="shop", progress=False, workspace=tmp_path)
    assert re.fullmatch(
        r"impressions \(a pandas DataFrame\) cannot be stored as a table: .*item_id.*\. Give each "
        r"column one type\.",
        str(caught.value),
    )


WRONG_VECTORS = {
    "one dimension": (
        VECTORS[:, 0],
        IDS,
        "vectors is a numpy ndarray of shape (20,); give an array (n, D), one row per item, D at "
        "least 1.",
    ),
    "text": (
        VECTORS.astype(str),
        IDS,
        "vectors is a numpy ndarray of type <U32; give an array of numbers, (n, D).",
    ),
    "integers": (
        np.ones((ITEMS, 3), int),
        IDS,
        "vectors (a numpy ndarray): vectors are of type int64; allowed: float16, float32, float64, "
        "and int8 (divided by 127, or multiplied by --scale). Convert them to floats before "
        "saving; dequantise integers by their own scale: `(vectors.astype('float32') - "
        "zero_point) * scale`.",
    ),
    "ragged": (
        [[1.0, 2.0], [1.0]],
        IDS[:2],
        "vectors is a list whose rows differ in length; give an array (n, D).",
    ),
    "Series": (
        pd.Series(list(VECTORS)),
        IDS,
        "vectors is a pandas Series; give an array, `numpy.stack(series.tolist())`, and its ids, "
        "or a DataFrame with a column item_id.",
    ),
    "no ids": (
        VECTORS,
        None,
        "vectors is a numpy ndarray without ids; give ids=, the item id of each row.",
    ),
    "fewer ids": (VECTORS, IDS[1:], "vectors has 20 rows, but ids has 19; give one each."),
    "missing id": (
        VECTORS,
        [None, *IDS[1:]],
        "ids is a list with a missing id in row 0; give every row one id.",
    ),
    "ids of another type": (
        VECTORS,
        [True] * ITEMS,
        "ids is a list that contains a bool; ids are text or whole numbers.",
    ),
    "matrix of ids": (
        VECTORS,
        np.zeros((ITEMS, 2), int),
        "ids is a numpy ndarray of shape (20, 2); give one id per row, (n,).",
    ),
    "number as ids": (
        VECTORS,
        7,
        "ids is an int; give a file, a list, an array or a Series of ids.",
    ),
    "ids of a table": (
        pl.DataFrame({"item_id": IDS, "vector": VECTORS}),
        IDS,
        "vectors is a polars DataFrame, which has a column of ids; name it by ids_column, and "
        "remove ids.",
    ),
    "NaN": (
        np.where(np.arange(ITEMS)[:, None] == 4, np.nan, VECTORS),
        IDS,
        "vectors (a numpy ndarray):\n  - 1 vector(s) with NaN, infinite or missing numbers: ids 4",
    ),
}


@pytest.mark.parametrize("kind", WRONG_VECTORS)
def test_wrong_vectors_have_one_message(shop, kind):
    vectors, ids, text = WRONG_VECTORS[kind]
    with pytest.raises((cb.DataError, cb.ConfigError)) as caught:
        cb.embeddings.add("v", vectors, ids=ids, dataset="shop", workspace=shop)
    assert str(caught.value) == text


def test_wrong_workspace_and_jobs(shop):
    with pytest.raises(cb.ConfigError) as caught:
        cb.datasets.list(7)  # pyright: ignore
    assert str(caught.value) == "workspace is an int; give a folder or a Workspace."
    for given, text in (
        ("shop.yaml", "shop.yaml is a path, not a matrix; read the file with "),
        ({"dataset": "shop"}, "matrix is a dict; give a ctrbench.Matrix, or "),
    ):
        with pytest.raises(cb.ConfigError) as caught:
            cb.run(given)
        assert str(caught.value).startswith(text)


def test_unknown_and_missing_options_of_an_importer(tmp_path):
    with pytest.raises(cb.ConfigError) as caught:
        cb.datasets.import_log("movielens", {"sorce": "ml"}, workspace=tmp_path)
    assert "no option 'sorce'; known: " in str(caught.value)
    assert "Did you mean 'source'?" in str(caught.value)
    with pytest.raises(cb.ConfigError) as caught:
        cb.datasets.import_log("movielens", {}, workspace=tmp_path)
    assert str(caught.value) == (
        "the importer movielens requires more options:\n  - source: missing; give it."
    )
