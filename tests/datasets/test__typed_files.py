import bz2
import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from ctrbench.datasets.table import TableImporter
from ctrbench.errors import DataError
from ctrbench.impressions import open_impressions, raw_item_ids
from ctrbench.workspace import Workspace
from tests.datasets.imports import run
from tests.impressions.logs import long_log


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def whole():
    return [{name: int(value) for name, value in row.items()} for row in long_log()]


def write_jsonl(path, rows, pack=bytes):
    path.write_bytes(pack("".join(json.dumps(row) + "\n" for row in rows).encode()))


def write_ipc(path, table):
    with pa.ipc.new_stream(path, table.schema) as sink:
        sink.write_table(table)


def imported(workspace, path, name="log", **options):
    return run(workspace, TableImporter([str(path)], **options), name=name)


def zstd(content):
    return pa.compress(content, "zstd", asbytes=True)


def test_all_formats_give_the_same(workspace, tmp_path):
    rows = whole()
    table = pa.Table.from_pylist(rows)
    write = {
        "a.parquet": lambda path: pq.write_table(table, path),
        "a.jsonl": lambda path: write_jsonl(path, rows),
        "a.json.gz": lambda path: write_jsonl(path, rows, gzip.compress),
        "a.ndjson.bz2": lambda path: write_jsonl(path, rows, bz2.compress),
        "a.jsonl.zst": lambda path: write_jsonl(path, rows, zstd),
        "a.json": lambda path: path.write_text(json.dumps(rows, indent=1)),
        "a.orc": lambda path: orc.write_table(table, path),
        "a.feather": lambda path: pyarrow.feather.write_feather(table, path),
        "a.arrow": lambda path: write_ipc(path, table),
    }
    found = set()
    for number, (name, make) in enumerate(write.items()):
        make(tmp_path / name)
        found.add(imported(workspace, tmp_path / name, f"n{number}").content_hash)
    assert len(found) == 1


def test_text_of_json_stays_text(workspace, tmp_path):
    rows = [
        row | {"item_id": f"550E8400-E29B-41D4-A716-44665544000{row['item_id']}", "day": "2023-1-1"}
        for row in whole()
    ]
    write_jsonl(tmp_path / "a.jsonl", rows)
    imported(workspace, tmp_path / "a.jsonl")
    assert raw_item_ids(workspace, "log")[0] == "550E8400-E29B-41D4-A716-446655440000"


def test_ids_of_json_may_be_numbers_and_texts(workspace, tmp_path):
    rows = [
        r | {"item_id": str(r["item_id"]) if i % 2 else r["item_id"]} for i, r in enumerate(whole())
    ]
    write_jsonl(tmp_path / "a.jsonl", rows)
    imported(workspace, tmp_path / "a.jsonl")
    assert raw_item_ids(workspace, "log") == list("0123456")


def test_ids_of_json_that_no_float_represents(workspace, tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [r | {"item_id": 2**70 + r["item_id"]} for r in whole()])
    with pytest.raises(DataError, match=r"2\^53"):
        imported(workspace, tmp_path / "a.jsonl")


def test_ids_of_json_of_64_bits(workspace, tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [r | {"item_id": 2**64 - 1 - r["item_id"]} for r in whole()])
    imported(workspace, tmp_path / "a.jsonl")
    assert raw_item_ids(workspace, "log")[-1] == str(2**64 - 1)


def test_arrow_types_that_the_database_lacks(workspace, tmp_path):
    table = pa.Table.from_pylist(whole())
    many = table.num_rows
    lists = pa.array([["1", "2"]] * many, pa.list_(pa.dictionary(pa.int32(), pa.string())))
    table = table.append_column("history", lists)
    table = table.append_column("half", pa.array(np.arange(many, dtype=np.float16)))
    table = table.append_column("city", pa.array(["x"] * many).dictionary_encode())
    table = table.append_column("view", pa.array(["x"] * many, pa.string_view()))
    table = table.append_column("list", pa.array([[1]] * many, pa.list_view(pa.int64())))
    pyarrow.feather.write_feather(table, tmp_path / "a.arrow")
    manifest = imported(workspace, tmp_path / "a.arrow")
    assert {field.name: field.kind for field in manifest.fields} == {
        "half": "numeric",
        "city": "categorical",
        "view": "categorical",
        "list": "list",
    }
    assert open_impressions(workspace, "log").history_length.max() == 2


@pytest.mark.parametrize("name", ["a.orc", "a.arrow", "a.parquet", "a.csv.zst", "a.csv.bz2"])
def test_truncated_files(workspace, tmp_path, name):
    table, path = pa.Table.from_pylist(whole()), tmp_path / name
    text = "\n".join(",".join(map(str, row.values())) for row in whole())
    text = ",".join(table.column_names) + "\n" + text
    packs = {"a.csv.zst": zstd, "a.csv.bz2": bz2.compress}
    if name in packs:
        path.write_bytes(packs[name](text.encode()))
        assert imported(workspace, path, "whole").counts["impressions"] == table.num_rows
    elif name == "a.orc":
        orc.write_table(table, path)
    elif name == "a.arrow":
        pyarrow.feather.write_feather(table, path)
    else:
        pq.write_table(table, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(DataError, match=name):
        imported(workspace, path)


def test_damaged_json(workspace, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"user_id": 1}\n{"user_id" 2}\n')
    with pytest.raises(DataError, match=r"a.jsonl.*Malformed"):
        imported(workspace, tmp_path / "a.jsonl")
