"""Folders of tables: Spark's parts, and data sets of Hugging Face."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctrbench.embeddings.readers import Source
from ctrbench.errors import DataError

from .test_readers import IDS, VECTORS, collect


def _table(rows, **columns):
    lists = pa.array(VECTORS[rows].tolist(), pa.list_(pa.float32()))
    return pa.table({"item_id": IDS[rows], "v": lists, **columns})


@pytest.fixture
def spark(tmp_path):
    """A folder with two parts, one part without rows, and marks of Spark."""
    folder = tmp_path / "vectors"
    folder.mkdir()
    for part, rows in enumerate([slice(0, 0), slice(0, 2), slice(2, 3)]):
        pq.write_table(_table(rows), folder / f"part-0000{part}.snappy.parquet")
    (folder / "_SUCCESS").touch()
    (folder / ".part-00000.snappy.parquet.crc").write_bytes(b"crc")
    (folder / "_temporary").mkdir()
    (folder / "_temporary" / "part-0.parquet").write_bytes(b"half a file")
    return folder


def test_parts_of_spark(spark, tmp_path):
    ids, vectors = collect(Source(spark), tmp_path)
    assert ids == ["7", "12", "42"]
    np.testing.assert_array_equal(vectors, VECTORS)


def test_partitions_of_hive(tmp_path):
    for day, rows in [("dt=1", slice(0, 2)), ("dt=2", slice(2, 3))]:
        (tmp_path / "v" / day).mkdir(parents=True)
        pq.write_table(_table(rows), tmp_path / "v" / day / "0.parquet")
    assert collect(Source(tmp_path / "v"), tmp_path)[0] == ["7", "12", "42"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (_table(slice(0, 1)).rename_columns(["item_id", "w"]), r"part-9.*: .*\bw .*\bv "),
        (_table(slice(0, 1)).rename_columns(["key", "v"]), r"part-9.*key.*item_id"),
        (_table(slice(0, 1)).select(["item_id"]), "part-9"),
        (pa.table({"item_id": [9], "v": [[1.0, 2.0, 3.0]]}), "part-9.* 3 numbers.* 2;"),
        (pa.table({"item_id": [9], "v": ["[1, 2]"]}), "part-9.*text"),
    ],
)
def test_a_part_of_another_schema(spark, tmp_path, table, message):
    pq.write_table(table, spark / "part-9.parquet")
    with pytest.raises(DataError, match=message):
        collect(Source(spark), tmp_path)


def test_a_truncated_part(spark, tmp_path):
    data = (spark / "part-00001.snappy.parquet").read_bytes()
    for kept in (0, len(data) // 2):
        (spark / "part-00002.snappy.parquet").write_bytes(data[:kept])
        with pytest.raises(DataError, match=r"part-00002.*(is empty|cannot be read)"):
            collect(Source(spark), tmp_path)


def test_formats_are_not_mixed(spark, tmp_path):
    np.save(spark / "7.npy", VECTORS[0])
    with pytest.raises(DataError, match=r"part-00000.*\.npy"):
        collect(Source(spark), tmp_path)
    (spark / "7.npy").rename(spark / "part-3.arrow")
    with pytest.raises(DataError, match=r"1 .arrow, 3 .parquet"):
        collect(Source(spark), tmp_path)


@pytest.fixture
def hugging_face(tmp_path):
    """What `save_to_disk` writes: Arrow streams, listed in state.json."""
    folder = tmp_path / "hf" / "train"
    folder.mkdir(parents=True)
    names = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    for name, rows in zip(names, [slice(0, 2), slice(2, 3)], strict=True):
        table = _table(rows, title=["t"] * len(IDS[rows]))
        with pa.ipc.new_stream(folder / name, table.schema) as stream:
            stream.write_table(table)
    files = [{"filename": name} for name in names]
    state = {"_data_files": files, "_fingerprint": "f", "_indices_data_files": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def test_a_data_set_of_hugging_face(hugging_face, tmp_path):
    with pa.ipc.new_stream(hugging_face / "cache-1.arrow", _table(slice(0, 1)).schema):
        pass  # results of `map`, which state.json does not list
    ids, vectors = collect(Source(hugging_face), tmp_path)
    assert ids == ["7", "12", "42"]
    np.testing.assert_array_equal(vectors, VECTORS)


def test_splits_of_hugging_face(hugging_face, tmp_path):
    (hugging_face.parent / "dataset_dict.json").write_text('{"splits": ["train"]}')
    with pytest.raises(DataError, match="splits of a data set: train"):
        collect(Source(hugging_face.parent), tmp_path)


def test_data_sets_of_hugging_face_that_will_not_do(hugging_face, tmp_path):
    state = json.loads((hugging_face / "state.json").read_text())
    for changed, message in [
        (state | {"_indices_data_files": [{"filename": "indices.arrow"}]}, "flatten_indices"),
        (state | {"_data_files": [{"filename": "gone.arrow"}]}, "gone.arrow: no such file"),
        ({}, "state.json"),
    ]:
        (hugging_face / "state.json").write_text(json.dumps(changed))
        with pytest.raises(DataError, match=message):
            collect(Source(hugging_face), tmp_path)
