"""All readers return equal ids and vectors, and reject invalid files."""

import dataclasses
import gzip
import io
import json
import os
import pickle
import zipfile

import faiss
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pyarrow import feather
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from ctrbench.embeddings.readers import Source, jsonl, read
from ctrbench.embeddings.readers._base import check_file
from ctrbench.embeddings.readers._ids import read_ids
from ctrbench.errors import ConfigError, DataError

IDS = [7, 12, 42]
VECTORS = np.array([[0.5, -1.0], [2.0, 0.0], [1e-3, 7.0]], np.float32)


def _npy(path, ids, vectors):
    np.save(path, vectors)
    np.save(path.with_name("ids.npy"), np.array(ids))
    return Source(path, path.with_name("ids.npy"))


def _npy_with_text(path, ids, vectors):
    np.save(path, np.asfortranarray(vectors))
    path.with_name("ids.txt").write_text("\ufeff" + "\r\n".join(map(str, ids)) + "\n", "utf-8")
    return Source(path, path.with_name("ids.txt"))


def _npy_with_csv(path, ids, vectors):
    np.save(path, vectors)
    lines = ["title,item_id", *(f'"a, b",{item}' for item in ids)]
    path.with_name("ids.csv").write_text("\n".join(lines))
    return Source(path, path.with_name("ids.csv"))


def _npz(path, ids, vectors):
    np.savez_compressed(path, key=np.array(ids), value=np.asfortranarray(vectors))
    return Source(path)


def _npz_one_array(path, ids, vectors):
    np.savez(path, vectors)
    path.with_name("ids.csv").write_text("\n".join(map(str, ids)))
    return Source(path, path.with_name("ids.csv"))


def _parquet(path, ids, vectors):
    lists = [np.asarray(vector, np.float32) for vector in vectors]
    frame = pd.DataFrame({"tags": [[1]] * len(ids), "item_id": ids, "vector": lists})
    frame.to_parquet(path, index=False, row_group_size=2)
    return Source(path)


def _parquet_columns(path, ids, vectors):
    columns = {f"d{i}": np.asarray(column, np.float32) for i, column in enumerate(vectors.T)}
    pd.DataFrame({"key": list(map(str, ids)), **columns}).to_parquet(path, index=False)
    return Source(path)


def _csv(path, ids, vectors):
    rows = [f'x,{item},"{list(map(float, row))}"' for item, row in zip(ids, vectors, strict=True)]
    path.write_text("\n".join(["title,item_id,vector", *rows]))
    return Source(path)


def _csv_columns(path, ids, vectors):
    frame = pd.DataFrame(vectors, columns=["d0", "d1"])
    frame.insert(0, "item_id", ids)
    frame.to_csv(path, index=False)
    return Source(path)


def _safetensors(path, ids, vectors):
    save_file({"key": np.array(ids), "value": np.array(vectors)}, path)
    return Source(path)


def _safetensors_one_tensor(path, ids, vectors):
    save_file({"embedding": np.array(vectors)}, path)
    np.save(path.with_name("ids.npy"), np.array(ids).astype(str).astype(bytes))
    return Source(path, path.with_name("ids.npy"))


def _tsv(path, ids, vectors):
    rows = [f"{item}\t{list(map(float, row))}" for item, row in zip(ids, vectors, strict=True)]
    path.write_text("\n".join(["item_id\tvector", *rows]))
    return Source(path)


def _gz(write):
    def compressed(path, ids, vectors):
        plain = write(path.with_suffix(""), ids, vectors).vectors
        path.write_bytes(gzip.compress(plain.read_bytes()))
        return Source(path)

    return compressed


def _arrow_table(ids, vectors):
    lists = pa.array([list(map(float, row)) for row in vectors], pa.list_(pa.float32()))
    return pa.table({"key": [str(item) for item in ids], "title": ["a"] * len(ids), "v": lists})


def _feather(path, ids, vectors):
    feather.write_feather(_arrow_table(ids, vectors), path)
    return Source(path)


def _arrow(path, ids, vectors):
    table = _arrow_table(ids, vectors)
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table, max_chunksize=2)
    return Source(path)


def _arrow_stream(path, ids, vectors):
    table = _arrow_table(ids, vectors)
    with pa.ipc.new_stream(path, table.schema) as stream:
        stream.write_table(table, max_chunksize=2)
    return Source(path)


def _json_lines(path, ids, vectors):
    rows = [
        {"title": "a", "item_id": item, "tags": [1, 2], "v": list(map(float, row))}
        for item, row in zip(ids, vectors, strict=True)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return Source(path)


def _json_lines_of_columns(path, ids, vectors):
    rows = zip(ids, vectors.tolist(), strict=True)
    lines = [json.dumps({"key": str(item), "d0": row[0], "d1": row[1]}) for item, row in rows]
    path.write_text("\ufeff" + "\n\n".join(lines) + "\n", "utf-8")
    return Source(path)


def _npy_with_json(path, ids, vectors):
    np.save(path, vectors)
    path.with_name("ids.json").write_text(json.dumps([str(item) for item in ids]))
    return Source(path, path.with_name("ids.json"))


def _faiss_with_ids(path, ids, vectors):
    index = faiss.IndexIDMap(faiss.IndexFlatIP(vectors.shape[1]))
    index.add_with_ids(np.array(vectors, np.float32), np.array(ids, np.int64))
    faiss.write_index(index, str(path))
    return Source(path)


def _faiss(path, ids, vectors):
    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(np.array(vectors, np.float32))
    faiss.write_index(index, str(path))
    np.save(path.with_name("ids.npy"), np.array(ids))
    return Source(path, path.with_name("ids.npy"))


def _pt(path, ids, vectors):
    torch.save({"key": torch.tensor(ids), "value": torch.tensor(vectors)}, path)
    return Source(path)


def _pt_of_text_ids(path, ids, vectors):
    torch.save({"key": [str(item) for item in ids], "value": torch.tensor(vectors)}, path)
    return Source(path)


def _pt_one_tensor(path, ids, vectors):
    values = torch.nn.Parameter(torch.tensor(vectors))
    torch.save(values, path, _use_new_zipfile_serialization=False)
    path.with_name("ids.txt").write_text("\n".join(map(str, ids)))
    return Source(path, path.with_name("ids.txt"))


FORMATS = {
    "npy": [_npy, _npy_with_text, _npy_with_csv, _npy_with_json],
    "npz": [_npz, _npz_one_array],
    "parquet": [_parquet, _parquet_columns],
    "feather": [_feather],
    "arrow": [_arrow, _arrow_stream],
    "csv": [_csv, _csv_columns],
    "csv.gz": [_gz(_csv), _gz(_csv_columns)],
    "tsv": [_tsv],
    "tsv.gz": [_gz(_tsv)],
    "safetensors": [_safetensors, _safetensors_one_tensor],
    "jsonl": [_json_lines, _json_lines_of_columns],
    "jsonl.gz": [_gz(_json_lines)],
    "faiss": [_faiss_with_ids, _faiss],
    "pt": [_pt, _pt_of_text_ids, _pt_one_tensor],
}
WRITERS = [(suffix, write) for suffix, writers in FORMATS.items() for write in writers]


def collect(source, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    blocks = list(read(source, scratch))
    ids = [item_id for block in blocks for item_id in block.ids]
    return ids, np.concatenate([block.vectors for block in blocks])


@pytest.mark.parametrize(("suffix", "write"), WRITERS)
def test_ids_and_vectors(tmp_path, suffix, write):
    ids, vectors = collect(write(tmp_path / f"v.{suffix}", IDS, VECTORS), tmp_path)
    assert ids == ["7", "12", "42"]
    np.testing.assert_array_equal(vectors.astype(np.float32), VECTORS)


@pytest.mark.parametrize("suffix", [s for s in FORMATS if s not in ("csv", "tsv", "jsonl")])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_truncated_file(tmp_path, suffix, keep):
    source = FORMATS[suffix][0](tmp_path / f"v.{suffix}", IDS, VECTORS)
    data = source.vectors.read_bytes()
    source.vectors.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(DataError, match=r"v\.[a-z.]+ (is empty|is not a complete|cannot be read)"):
        collect(source, tmp_path)


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_corrupt_content(tmp_path, suffix):
    source = FORMATS[suffix][0](tmp_path / f"v.{suffix}", IDS, VECTORS)
    data = bytearray(source.vectors.read_bytes())
    data[4 : len(data) // 2] = b"\xff" * (len(data) // 2 - 4)
    source.vectors.write_bytes(data)
    with pytest.raises(DataError, match=r"is not a complete|cannot be read"):
        collect(source, tmp_path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_text_is_not_an_archive(tmp_path, suffix):
    path = tmp_path / f"v.{suffix}"
    path.write_text("not an archive")
    path.with_name("ids.txt").write_text("7\n")
    ids = path.with_name("ids.txt") if suffix == "npy" else None
    with pytest.raises(DataError, match=r"is not a complete|cannot be read|no column item_id"):
        collect(Source(path, ids), tmp_path)


def test_missing_file_folder_and_unknown_extension(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(DataError, match="file"):
        collect(Source(tmp_path / "v.npz"), tmp_path)
    with pytest.raises(DataError, match="is a folder"):
        collect(Source(tmp_path / "folder.npz"), tmp_path)
    known = r"no reader for '.mat' files; known: .arrow, .csv, .faiss, .feather, .h5, .jsonl, .npy"
    with pytest.raises(ConfigError, match=known):
        collect(Source(tmp_path / "v.mat"), tmp_path)
    with pytest.raises(ConfigError, match=r"'.npz.gz'.* Unpack"):
        collect(Source(tmp_path / "v.npz.gz"), tmp_path)


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("v.json", "json.dumps"),
        ("v.pkl", "v.pkl: pickled"),
    ],
)
def test_unsupported_extensions_have_a_remedy(tmp_path, name, way_out):
    with pytest.raises(DataError, match=way_out):
        collect(Source(tmp_path / name), tmp_path)


def test_file_without_read_permission(tmp_path, monkeypatch):
    source = _npz(tmp_path / "v.npz", IDS, VECTORS)

    def denied(path, mode):
        raise PermissionError(13, "Permission denied", str(path), mode)

    monkeypatch.setattr(type(source.vectors), "open", denied)
    with pytest.raises(DataError, match="Permission denied"):
        check_file(source.vectors)


class Bomb:
    """Fails the test when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


@pytest.mark.parametrize("name", ["v.pkl", "v.pt", "v.PTH", "v.npy"])
def test_pickles_are_never_opened(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "ids.txt").write_text("7\n")
    with pytest.raises(DataError, match=r"pickled.*savez"):
        collect(Source(tmp_path / name, tmp_path / "ids.txt"), tmp_path)


@pytest.mark.parametrize("bad", ["key", "value"])
def test_object_arrays_are_never_opened(tmp_path, bad):
    arrays = {"key": np.array(IDS), "value": VECTORS, bad: np.array([Bomb()] * 3)}
    np.savez(tmp_path / "v.npz", **arrays)
    with pytest.raises(DataError, match=rf"array '{bad}'.*Python objects.*savez"):
        collect(Source(tmp_path / "v.npz"), tmp_path)
    np.save(tmp_path / "v.npy", np.array([Bomb()] * 3))
    (tmp_path / "ids.txt").write_text("7\n12\n42\n")
    with pytest.raises(DataError, match="array of Python objects"):
        collect(Source(tmp_path / "v.npy", tmp_path / "ids.txt"), tmp_path)


def test_vectors_without_ids(tmp_path):
    np.save(tmp_path / "v.npy", VECTORS)
    np.savez(tmp_path / "v.npz", VECTORS)
    for name in ("v.npy", "v.npz"):
        with pytest.raises(ConfigError, match="--ids FILE"):
            collect(Source(tmp_path / name), tmp_path)


@pytest.mark.parametrize("suffix", ["npz", "parquet", "csv", "safetensors"])
def test_ids_given_twice(tmp_path, suffix):
    source = FORMATS[suffix][0](tmp_path / f"v.{suffix}", IDS, VECTORS)
    (tmp_path / "more.txt").write_text("7\n")
    with pytest.raises(ConfigError, match=r"--ids .*ids"):
        collect(Source(source.vectors, tmp_path / "more.txt"), tmp_path)


@pytest.mark.parametrize("write", [_npy, _npy_with_text, _npz, _safetensors])
def test_other_number_of_ids_than_vectors(tmp_path, write):
    suffix = next(suffix for suffix, writer in WRITERS if writer is write)
    with pytest.raises(DataError, match="3 vectors but 2 ids"):
        collect(write(tmp_path / f"v.{suffix}", IDS[:2], VECTORS), tmp_path)


@pytest.mark.parametrize("shape", [(3,), (3, 2, 2), (3, 0)])
def test_vectors_of_another_shape(tmp_path, shape):
    with pytest.raises(DataError, match=r"shape \(3.*\(number, width\)"):
        collect(_npz(tmp_path / "v.npz", IDS, np.zeros(shape, np.float32)), tmp_path)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_integer_vectors(tmp_path, suffix):
    with pytest.raises(DataError, match=r"64; .*float16, float32, float64"):
        collect(FORMATS[suffix][0](tmp_path / f"v.{suffix}", IDS, VECTORS.astype(int)), tmp_path)


def test_arrays_of_other_names(tmp_path):
    np.savez(tmp_path / "v.npz", ids=IDS, vectors=VECTORS)
    with pytest.raises(DataError, match=r"ids, vectors; .*'key'"):
        collect(Source(tmp_path / "v.npz"), tmp_path)


def test_ids_in_another_encoding(tmp_path):
    with pytest.raises(DataError, match="are not text in UTF-8"):
        collect(_npz(tmp_path / "v.npz", [b"\xff", b"a", b"b"], VECTORS), tmp_path)


@pytest.mark.parametrize("ids", [[[7], [12], [42]], [True, False, True]])
def test_ids_of_another_type(tmp_path, ids):
    with pytest.raises(DataError, match="must be one list of integers or text"):
        collect(_npz(tmp_path / "v.npz", ids, VECTORS), tmp_path)


def test_invalid_ids_files(tmp_path):
    np.save(tmp_path / "v.npy", VECTORS)
    for name, content, kind, message in [
        ("ids.xml", b"[]", ConfigError, ".npy, .txt, .csv or .json"),
        ("ids.json", b'{"7": 0}', DataError, "dict instead of a list"),
        ("ids.json", b"[7, 12", DataError, "not complete JSON"),
        ("more.json", b"[7, null, 1.5]", DataError, r"row 2 .None., row 3 .1.5."),
        ("ids.csv", b"7,1\n12,2\n", DataError, "line 1: 2 values"),
        ("more.csv", b"a,item_id\n12\n", DataError, "line 2: 1 value;"),
        ("ids.txt", b"\xff\xfe\n", DataError, "ids.txt"),
        ("empty.txt", b"", DataError, "empty.txt"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(kind, match=message):
            collect(Source(tmp_path / "v.npy", tmp_path / name), tmp_path)


@pytest.mark.parametrize(("suffix", "write"), [("parquet", _parquet), ("csv", _csv)])
def test_ragged_lists(tmp_path, suffix, write):
    vectors = [[1.0, 2.0], [1.0], [1.0, 2.0, 3.0]]
    message = r"first has 2 numbers, others differ .2 or more.: 12 \(1 number\), 42 \(3 numbers\)"
    with pytest.raises(DataError, match=message):
        collect(write(tmp_path / f"v.{suffix}", IDS, vectors), tmp_path)
    with pytest.raises(DataError, match="item 7"):
        collect(write(tmp_path / f"v.{suffix}", IDS, [[], [1.0], [1.0]]), tmp_path)


@pytest.mark.parametrize(
    "vectors",
    [
        pa.array([[1.0, 2.0], None, [4.0, 5.0]]),
        pa.array([[1.0, 2.0], [None, 3.0], [4.0, 5.0]]),
        pa.array(["[1, 2]", None, "[4, 5]"]),
        pa.array([1.0, None, 2.0]),
    ],
)
def test_null_vectors_are_reported(tmp_path, vectors):
    pq.write_table(pa.table({"item_id": IDS, "v": vectors}), tmp_path / "v.parquet")
    with pytest.raises(DataError, match=r"1 id .*: 12;"):
        collect(Source(tmp_path / "v.parquet"), tmp_path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"movie": IDS, "a": [1.0] * 3}, "no column item_id .or key.; found movie, a"),
        ({"item_id": IDS}, "item_id"),
        ({"item_id": IDS, "a": [1.0] * 3, "n": [1] * 3}, r"n \(int64\)"),
        ({"item_id": IDS, "a": [[1]] * 3}, r"a \(list<"),
        (
            {"item_id": IDS, "a": [[1.0]] * 3, "b": [[1.0]] * 3},
            r"lists of numbers, a, b; .*--vector-column a",
        ),
        ({"item_id": [7, None, 8], "a": [1.0] * 3}, "column item_id: .*\n.* missing: row 2"),
        ({"item_id": ["7", None, "8"], "a": [1.0] * 3}, "1 id.s. are missing: row 2"),
        (
            {"item_id": IDS, **{f"{c}{i}": [1.0] * 3 for c in "ab" for i in range(2)}},
            "a0, a1, ..., b0, b1",
        ),
        (
            {"item_id": IDS, **{f"d{i}": [1.0] * 3 for i in (0, 1, 2, 4, 5)}, "price": [9.0] * 3},
            "d0, d1, d2, d4, d5 .*: 3 missing",
        ),
        (
            {"item_id": IDS, **{f"h{i}": [1.0] * 3 for i in (64, 128)}, "price": [9.0] * 3},
            "h64, h128 .* 0 or 1",
        ),
        (
            {"item_id": IDS, **{name: [1.0] * 3 for name in ("d0", "d1", "d01")}},
            "d0, d01, d1 .*consecutively",
        ),
        (
            {"item_id": IDS, "d0": [1.0] * 3, "d1": [2.0] * 3, "d2": [3] * 3},
            r"d0 \(number\), d1 \(number\), d2 \(int64\)",
        ),
        (
            {"item_id": IDS, **{name: [1.0] * 3 for name in (*"abc", "feat1", "feat2")}},
            "feat1, feat2, .* a, b, c",
        ),
        (
            {"item_id": IDS, **{name: [1.0] * 3 for name in ("d0", "d1", "h16", "h32")}},
            "d0, d1, ..., h16, h32",
        ),
        ({"item_id": IDS, "v": ["AACAPw=="] * 3}, r"v .*string.*b64decode"),
        ({"item_id": IDS, "v": [b"AACAPw=="] * 3}, r"v .binary.*frombuffer"),
        ({"item_id": IDS, "d0": np.zeros(3, "u1"), "d1": np.zeros(3, "u1")}, "d0 .uint8.*scale"),
    ],
)
def test_unsuitable_parquet_columns(tmp_path, columns, message):
    pd.DataFrame(columns).to_parquet(tmp_path / "v.parquet", index=False)
    with pytest.raises(DataError, match=message):
        collect(Source(tmp_path / "v.parquet"), tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item_id,a,b\n7,1,2\n8,4\n", "Row #3: Expected 3 columns, got 2"),
        ("item_id,a\n7,x\n", r"item_id.* a \(text\)"),
        ("item_id,a\n7,1\n8,x\n", "v.csv, line 3: 'x'"),
        ("item_id,a\n7,\n", "line 2: ''"),
        ("item_id,a,a\n7,1,2\n", "found item_id, a, a"),
        ('item_id,a\n7,"[1 ... 2]"\n', r"row 1, item 7: '\[1 ... 2\]'"),
        ("item_id,a\n7,\xff\n", "cannot be read"),
        ("a,b\n7,1\n", "no column item_id"),
    ],
)
def test_unsuitable_csv(tmp_path, text, message):
    (tmp_path / "v.csv").write_text(text, "latin-1")
    with pytest.raises(DataError, match=message):
        collect(Source(tmp_path / "v.csv"), tmp_path)


def test_parquet_vectors_too_wide_are_refused_by_the_metadata(tmp_path):
    folder = tmp_path / "a[1]"  # a wildcard of DuckDB, which reads the metadata
    folder.mkdir()
    wide = pa.array([[0.0] * 70_000], pa.list_(pa.float32()))
    pq.write_table(pa.table({"item_id": [7], "image.vector": wide}), folder / "v.parquet")
    with pytest.raises(DataError, match=r"70,000 numbers according to the metadata.* 65,536"):
        collect(Source(folder / "v.parquet"), tmp_path)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_column_chooses_among_lists(tmp_path, suffix):
    path = tmp_path / f"v.{suffix}"
    frame = pd.DataFrame({"item_id": IDS, "text": [[1.0]] * 3, "image": [[2.0, 3.0]] * 3})
    (frame.to_parquet if suffix == "parquet" else frame.to_csv)(path, index=False)
    np.testing.assert_array_equal(collect(Source(path, column="image"), tmp_path)[1], [[2, 3]] * 3)
    with pytest.raises(DataError, match=r"no column of lists .* 'imag'; .* Did you mean 'image'"):
        collect(Source(path, column="imag"), tmp_path)


def test_column_of_a_file_without_columns(tmp_path):
    source = _npz(tmp_path / "v.npz", IDS, VECTORS)
    with pytest.raises(ConfigError, match=r"--vector-column .*v.npz"):
        collect(Source(source.vectors, column="a"), tmp_path)


def test_csv_keeps_leading_zeros_and_reads_lists_of_any_style(tmp_path):
    (tmp_path / "v.csv").write_text('\ufeffitem_id,v\n007,"[1,\n 2]"\na,[3. 4e1]\n', "utf-8")
    ids, vectors = collect(Source(tmp_path / "v.csv"), tmp_path)
    assert ids == ["007", "a"]
    np.testing.assert_array_equal(vectors, [[1, 2], [3, 40]])


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("name", ["v.csv", "v.csv.gz", "v.tsv"])
def test_the_separator_of_vectors_follows_from_the_header(tmp_path, name, separator):
    frame = pd.DataFrame({"item_id": IDS, "d0": VECTORS[:, 0], "d1": VECTORS[:, 1]})
    frame.to_csv(tmp_path / name, sep=separator, index=False)
    ids, vectors = collect(Source(tmp_path / name), tmp_path)
    assert ids == ["7", "12", "42"]
    np.testing.assert_array_equal(vectors.astype(np.float32), VECTORS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item_id;a|b\n7;1|2\n", r"';' or '\|'.*','"),
        ("item_id;a\n7;0,5\n", r"a \(numbers with a decimal comma\)"),
        ("id;a\n7;1\n", "no column item_id .or key.; found id, a"),
    ],
)
def test_ambiguous_separators(tmp_path, text, message):
    (tmp_path / "v.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        collect(Source(tmp_path / "v.csv"), tmp_path)


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
def test_the_separator_of_ids_follows_from_the_header(tmp_path, separator):
    lines = ["title", "item_id"], ["a", "7;1"], ["b", "12"]
    text = "".join(separator.join(f'"{cell}"' for cell in line) + "\n" for line in lines)
    (tmp_path / "ids.csv").write_text(text)
    assert read_ids(tmp_path / "ids.csv") == ["7;1", "12"]


def test_ids_without_a_header_may_hold_separators(tmp_path):
    (tmp_path / "ids.csv").write_text("7;1\n12|3\n")
    assert read_ids(tmp_path / "ids.csv") == ["7;1", "12|3"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ids.csv", "id\n7\n"),
        ("ids.csv", "title,ID\na,7\n"),
        ("ids.csv", "Item_ID\n7\n"),
        ("ids.txt", "item_id\r\n7\n"),
        ("ids.txt", "id\n7\n"),
    ],
)
def test_an_unknown_header_is_not_an_id(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=r"line 1: '\w+' is a header"):
        read_ids(tmp_path / name)


def test_no_rows(tmp_path):
    (tmp_path / "v.csv").write_text("item_id,a\n")
    (tmp_path / "scratch").mkdir()
    assert list(read(Source(tmp_path / "v.csv"), tmp_path / "scratch")) == []


EXACT = VECTORS[:, 0].astype(np.float64)


@pytest.mark.parametrize(
    "vectors",
    [
        pa.array(VECTORS.tolist(), pa.large_list(pa.float32())),
        pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), 2),
        pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.float32(), [2]),
            pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), 2),
        ),
        pa.array(VECTORS.tolist(), pa.list_(pa.float64())),
        pa.array(VECTORS.tolist(), pa.list_view(pa.float32())),
        pa.LargeListViewArray.from_arrays([4, 0, 2], [2, 2, 2], VECTORS[[1, 2, 0]].ravel()),
        pa.array([str(row) for row in VECTORS.tolist()]),
        pa.array([str(row) for row in VECTORS.tolist()], pa.string_view()),
    ],
)
@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_columns_of_vectors_of_each_type(tmp_path, vectors, ending):
    ids = pa.array(["7", "12", "42"], pa.string_view())
    table = pa.table({"item_id": ids, "title": ["x", None, "y"], "v": vectors})
    write = pq.write_table if ending == "parquet" else feather.write_feather
    write(table, tmp_path / f"v.{ending}")
    found, read_vectors = collect(Source(tmp_path / f"v.{ending}"), tmp_path)
    assert found == ["7", "12", "42"]
    np.testing.assert_array_equal(read_vectors.astype(np.float32), VECTORS)


def test_numbered_columns_are_the_vector_and_others_are_noted(tmp_path):
    others = {"title": "x", "price": EXACT, "year": [1, 2, 3]}
    frame = pd.DataFrame({"d1": 2 * EXACT, "d2": EXACT, "item_id": IDS, **others, "d0": 3 * EXACT})
    for name, write in [("v.parquet", frame.to_parquet), ("v.csv", frame.to_csv)]:
        write(tmp_path / name)  # CSV messages contain the row number
        (tmp_path / "scratch").mkdir(exist_ok=True)
        (block,) = read(Source(tmp_path / name), tmp_path / "scratch")
        np.testing.assert_allclose(block.vectors, EXACT[:, None] * [3, 2, 1])
        (note,) = block.notes
        assert all(f"{column} (" in note for column in ("title", "price", "year"))


@pytest.mark.parametrize("suffix", ["npy", "npz", "parquet", "safetensors"])
def test_int8_is_divided_by_127(tmp_path, suffix):
    whole = np.array([[127, -127], [64, 1], [-128, 0]], np.int8)
    path = tmp_path / f"v.{suffix}"
    if suffix == "parquet":
        lists = pa.array(whole.tolist(), pa.list_(pa.int8()))
        pq.write_table(pa.table({"item_id": IDS, "v": lists}), path)
        source = Source(path)
    else:
        source = FORMATS[suffix][0](path, IDS, whole)
    (tmp_path / "scratch").mkdir()
    (block,) = read(source, tmp_path / "scratch")
    assert block.vectors.dtype == np.float32
    np.testing.assert_allclose(block.vectors, whole.astype(float) / 127, rtol=1e-6)
    assert block.notes == ("int8 vectors are divided by 127",)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("1001.0\n7\n", ["1001", "7"]),
        ("1001.0\n007\n", ["1001.0", "007"]),
        ("NA\nnull\n", ["NA", "null"]),
        ("a\u2028b\nc\x0bd", ["a\u2028b", "c\x0bd"]),
    ],
)
def test_a_file_of_ids_follows_the_one_rule(tmp_path, text, ids):
    (tmp_path / "ids.txt").write_text(text, "utf-8")
    assert read_ids(tmp_path / "ids.txt") == ids


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ids.txt", "7\n 12\n42 \n", r"2 ids, line 2 \(' 12'\), line 3 \('42 '\)"),
        ("ids.csv", "item_id\n7\n12 \n", r"1 id, line 3 \('12 '\)"),
        ("ids.txt", "7\n\n42\n", "1 id.s. are missing: row 2"),
        ("v.csv", "item_id,a\n7,1\n 12,2\n", r"1 id, line 3 \(' 12'\)"),
        ("v.csv", "a, item_id\n1, 7\n2,12\n", r"1 id, line 2 \(' 7'\)"),
    ],
)
def test_blanks_around_ids_are_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    source = Source(tmp_path / name)
    with pytest.raises(DataError, match=message):
        collect(source, tmp_path) if name == "v.csv" else read_ids(tmp_path / name)


@pytest.mark.parametrize("end", ["\xa0", "\u3000", "\x1f"])
def test_unusual_characters_belong_to_an_id(tmp_path, end):
    (tmp_path / "v.csv").write_text(f"item_id,a\n1001{end},1\n7,2\n", "utf-8")
    ids, _ = collect(Source(tmp_path / "v.csv"), tmp_path)
    assert ids == read_ids(_first_column(tmp_path)) == [f"1001{end}", "7"]


def _first_column(folder):
    lines = (folder / "v.csv").read_text("utf-8").split("\n")[1:-1]
    (folder / "ids.txt").write_text("\n".join(line.split(",")[0] for line in lines), "utf-8")
    return folder / "ids.txt"


def test_a_blank_after_every_separator_is_not_part_of_an_id(tmp_path):
    (tmp_path / "v.csv").write_text("a, item_id, b\n1, 7, 2\n3, 12, 4\n")
    ids, vectors = collect(Source(tmp_path / "v.csv"), tmp_path)
    assert ids == read_ids(tmp_path / "v.csv") == ["7", "12"]
    np.testing.assert_array_equal(vectors, [[1, 2], [3, 4]])


def test_a_row_that_exceeds_the_limit(tmp_path):
    (tmp_path / "v.csv").write_text(f'item_id,v\n7,"{[0] * 70_000}"\n')
    long = pa.array([[0.0] * 70_000], pa.list_(pa.float32()))
    pq.write_table(pa.table({"item_id": [7], "v": long}), tmp_path / "v.parquet")
    np.savez(tmp_path / "v.npz", key=[7], value=np.zeros((1, 70_000), np.float32))
    for name in ("v.csv", "v.parquet", "v.npz"):
        with pytest.raises(DataError, match=r"70,000 numbers.* 65,536"):
            collect(Source(tmp_path / name), tmp_path)


def _folder_of(tmp_path, arrays):
    folder = tmp_path / "avgpool"
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def test_a_folder_with_one_file_per_item(tmp_path):
    folder = _folder_of(tmp_path, {"12.5A": VECTORS[:1], "12.7B": VECTORS[1], "42": VECTORS[2:]})
    (folder / "log.txt").write_text("done")
    ids, vectors = collect(Source(folder), tmp_path)
    assert ids == ["12.5A", "12.7B", "42"]
    np.testing.assert_array_equal(vectors, VECTORS)


def test_hidden_files_in_a_folder_are_ignored_and_noted(tmp_path):
    folder = _folder_of(tmp_path, {"7": VECTORS[0], "42": VECTORS[2], "_mean": VECTORS[1]})
    (folder / "._7.npy").write_bytes(b"\0\5\26\7" * 40)
    (tmp_path / "scratch").mkdir()
    (block,) = read(Source(folder), tmp_path / "scratch")
    assert block.ids == ["42", "7"]
    (note,) = block.notes
    assert note == "files not used, since their names begin with . or _: 2, such as ._7.npy"
    for name in ("7", "42"):
        (folder / f"{name}.npy").unlink()
    with pytest.raises(DataError, match=r"<item_id>.npy.* 2, such as ._7.npy\.$"):
        collect(Source(folder), tmp_path)


def test_invalid_files_of_a_folder(tmp_path):
    odd = {"8": np.zeros((1, 5)), "9": VECTORS, "b": np.array(["x", "y"])}
    folder = _folder_of(tmp_path, {"7": VECTORS[0], "a": VECTORS[1], **odd})
    (folder / "6.npy").touch()
    with pytest.raises(DataError) as error:
        collect(Source(folder), tmp_path)
    for part in (
        "6.npy is empty",
        "8.npy: 5 numbers",
        "9.npy: shape (3, 2)",
        "b.npy: vectors are of type <U1",
    ):
        assert part in str(error.value)
    assert "7.npy" not in str(error.value)


def test_a_folder_without_vectors(tmp_path):
    with pytest.raises(DataError, match=r"<item_id>.npy"):
        collect(Source(_folder_of(tmp_path, {})), tmp_path)


def _packed_npy(header, body=bytes(24)):
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def _header(shape, descr="<f4"):
    return f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}}}"


@pytest.mark.parametrize(
    "header",
    [
        *map(_header, ["(3,)", "(-3, 2)", "(True, 2)", "(3, 2, 2)", "(3.0, 2)", "3", "(0, 4)"]),
        *map(_header, [(2**40, 4), (2**62, 2**62), (2**64, 2), (1,) * 90]),
        *(_header((3, 2), descr) for descr in ("|V0", "|O", "<c8", "nothing", "<V99999999999")),
        *("(" * 3000, "{1: 2}", "\0", "'''"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_headers_that_contradict_the_data(tmp_path, header, packed):
    path = tmp_path / ("v.npz" if packed else "v.npy")
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("value.npy", _packed_npy(header))
    else:
        path.write_bytes(_packed_npy(header))
    (tmp_path / "ids.txt").write_text("7\n12\n42\n")
    with pytest.raises(DataError):
        collect(Source(path, tmp_path / "ids.txt"), tmp_path)


def _add_zeros(archive, name, header, megabytes):
    with archive.open(name, "w") as file:
        file.write(_packed_npy(header, b""))
        for _ in range(megabytes):
            file.write(bytes(1 << 20))


def test_shapes_are_checked_before_unpacking(tmp_path, monkeypatch):
    monkeypatch.setattr("ctrbench.embeddings.readers.npz._unpack", pytest.fail)
    whole = io.BytesIO()
    np.save(whole, np.arange(3))
    with zipfile.ZipFile(tmp_path / "many.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("key.npy", whole.getvalue())
        _add_zeros(archive, "value.npy", _header((2048, 1024)), 8)
    with pytest.raises(DataError, match="2,048 vectors but 3 ids"):
        collect(Source(tmp_path / "many.npz"), tmp_path)
    with zipfile.ZipFile(tmp_path / "long.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("value.npy", _packed_npy(_header((2, 3))))
        _add_zeros(archive, "key.npy", _header("(2,)", "<U1048576"), 8)
    with pytest.raises(DataError, match="<U1048576"):
        collect(Source(tmp_path / "long.npz"), tmp_path)


def test_an_array_that_occurs_twice_in_an_archive(tmp_path):
    path = _npz(tmp_path / "v.npz", IDS, VECTORS).vectors
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("value.npy", _packed_npy(_header((3, 2))))
    with pytest.raises(DataError, match=r"value\.npy"):
        collect(Source(path), tmp_path)


def test_arrow_files_with_invalid_offsets(tmp_path):
    lists = pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32()))
    astray = pa.py_buffer(np.array([0, 2**30, 2], np.int32).tobytes())
    broken = pa.Array.from_buffers(lists.type, 2, [None, astray], children=[lists.values])
    schema = pa.schema({"item_id": pa.int64(), "v": lists.type})
    with pa.ipc.new_file(tmp_path / "v.arrow", schema) as file:
        file.write_batch(pa.record_batch([pa.array([7, 12]), broken], schema=schema))
    with pytest.raises(DataError, match="cannot be read"):
        collect(Source(tmp_path / "v.arrow"), tmp_path)


def test_paths_that_cannot_be_opened(tmp_path):
    os.mkfifo(tmp_path / "v.npz")
    with pytest.raises(DataError, match="is a pipe or a device"):
        collect(Source(tmp_path / "v.npz"), tmp_path)
    with pytest.raises(DataError, match="File name too long"):
        collect(Source(tmp_path / f"{300 * 'x'}.npz"), tmp_path)


def test_other_columns_of_ids_are_not_dimensions(tmp_path):
    (tmp_path / "v.csv").write_text("item_id,key,a,b\n7,1,2,3\n")
    ids, vectors = collect(Source(tmp_path / "v.csv"), tmp_path)
    assert (ids, vectors.tolist()) == (["7"], [[2, 3]])


def test_names_in_messages_are_short(tmp_path):
    (tmp_path / "v.csv").write_text("x" * 100_000 + ",a\n7,1\n")
    with pytest.raises(DataError) as error:
        collect(Source(tmp_path / "v.csv"), tmp_path)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"key": "ids", "value": "image"}, VECTORS),
        ({"key": "ids", "value": "text"}, -VECTORS),
        ({"key": "ids"}, None),
        ({"key": "id"}, None),
    ],
)
@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_named_arrays(tmp_path, suffix, names, expected):
    path = tmp_path / f"v.{suffix}"
    arrays = {"ids": np.array(IDS), "image": VECTORS, "text": -VECTORS}
    np.savez(path, **arrays) if suffix == "npz" else save_file(arrays, path)
    source = Source(path, **names)
    if expected is None:
        with pytest.raises(DataError, match=r"ids, image, text"):
            collect(source, tmp_path)
        return
    ids, vectors = collect(source, tmp_path)
    assert ids == ["7", "12", "42"]
    np.testing.assert_array_equal(vectors, expected)


def test_a_message_names_the_first_arrays_of_many(tmp_path):
    np.savez(tmp_path / "v.npz", **{f"i{item:02}": np.ones(3) for item in range(30)})
    with pytest.raises(DataError) as error:
        collect(Source(tmp_path / "v.npz"), tmp_path)
    names = ", ".join(f"i{item:02}" for item in range(20))
    assert str(error.value) == (
        f"{tmp_path}/v.npz contains arrays {names} and 10 more; expected 'key' (ids) and 'value' "
        "(vectors), or one array and --ids FILE. Other names are given by --key and --value."
    )


def test_one_named_array_beside_another(tmp_path):
    np.savez(tmp_path / "v.npz", ids=IDS, image=VECTORS)
    for names in ({"key": "ids"}, {"value": "image"}):
        assert collect(Source(tmp_path / "v.npz", **names), tmp_path)[0] == ["7", "12", "42"]


def test_a_named_array_of_vectors_and_an_ids_file(tmp_path):
    np.savez(tmp_path / "v.npz", key=[1, 2, 3], image=VECTORS)
    (tmp_path / "ids.csv").write_text("title,movie\na,7\nb,12\nc,42\n")
    source = Source(tmp_path / "v.npz", tmp_path / "ids.csv", ids_column="movie", value="image")
    assert collect(source, tmp_path)[0] == ["7", "12", "42"]
    with pytest.raises(DataError, match=r"no column 'film'; known: movie, title"):
        read_ids(tmp_path / "ids.csv", "film")


@pytest.mark.parametrize("suffix", ["parquet", "csv", "arrow"])
def test_named_column_of_ids(tmp_path, suffix):
    path = tmp_path / f"v.{suffix}"
    frame = pd.DataFrame({"item_id": [1, 2, 3], "movie": IDS, "v": VECTORS.tolist()})
    if suffix == "arrow":
        feather.write_feather(frame, path)
    else:
        (frame.to_parquet if suffix == "parquet" else frame.to_csv)(path, index=False)
    source = Source(path, column="v", ids_column="movie")
    assert collect(source, tmp_path)[0] == ["7", "12", "42"]
    with pytest.raises(DataError, match=r"no column 'film'; known: item_id, movie, v"):
        collect(Source(path, column="v", ids_column="film"), tmp_path)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_lists_without_brackets_require_the_name_of_their_column(tmp_path, suffix):
    path = tmp_path / f"v.{suffix}"
    frame = pd.DataFrame({"item_id": [7, 8], "v": ["0.5,1", "0.25 2"]})
    if suffix == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        (frame.to_parquet if suffix == "parquet" else frame.to_csv)(path, index=False)
    with pytest.raises(DataError, match=r"such as 0\.1,0\.2, add --vector-column v\."):
        collect(Source(path), tmp_path)
    np.testing.assert_array_equal(
        collect(Source(path, column="v"), tmp_path)[1], [[0.5, 1], [0.25, 2]]
    )


def test_other_separators_of_numbers_are_refused(tmp_path):
    path = tmp_path / "v.csv"
    path.write_text("item_id,v\n7,0.5;1\n")
    with pytest.raises(DataError, match=r"row 1, item 7: '0.5;1' .*Write it as \[0.1, 0.2\]"):
        collect(Source(path, column="v"), tmp_path)


@pytest.mark.parametrize(
    ("name", "names", "option"),
    [
        ("v.npz", {"ids_column": "a"}, "--ids-column .*v.npz"),
        ("v.parquet", {"key": "a"}, r"--key .*v.parquet.* --ids-column"),
        ("v.csv", {"value": "a"}, r"--value .*v.csv.* --vector-column"),
    ],
)
def test_names_of_the_other_kind_are_refused(tmp_path, name, names, option):
    with pytest.raises(ConfigError, match=option):
        collect(Source(tmp_path / name, **names), tmp_path)


@pytest.mark.parametrize("name", ["v.index", "v.ndjson", "v.pth"])
def test_extensions_of_one_format(tmp_path, name):
    suffix = {"v.index": "faiss", "v.ndjson": "jsonl", "v.pth": "pt"}[name]
    source = FORMATS[suffix][0](tmp_path / f"v.{suffix}", IDS, VECTORS)
    source.vectors.rename(tmp_path / name)
    assert collect(Source(tmp_path / name), tmp_path)[0] == ["7", "12", "42"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ['{"item_id": 7, "v": [0.5]}', '{"item_id": 8, "v": [0.'],
            "line 2 is not a complete JSON",
        ),
        (['{"item_id": 7, "v": [0.5]}', "", "[1]"], "line 3: list instead of an object"),
        (['{"item_id": 7, "v": [0.5]}', '{"item_id": null, "v": [1]}'], r"line 2 .None."),
        (['{"item_id": 7.5, "v": [0.5]}'], r"line 1 .7.5."),
        (['{"item_id": 1e17, "v": [0.5]}'], r"line 1 .1e.17.*2.53"),
        (['{"item_id": true, "v": [0.5]}'], r"line 1 .True."),
        (['{"item_id": 7, "v": [0.5]}', '{"item_id": 8, "v": [1, 2]}'], r"8 .2 numbers."),
        (['{"item_id": 7, "v": [0.5]}', '{"item_id": 8, "v": ["x"]}'], "item 8: .'x'"),
        (['{"item_id": 7, "v": [0.5]}', '{"item_id": 8, "v": 5}'], "item 8: 5"),
        (['{"item_id": 7, "v": [0.5]}', '{"item_id": 8, "v": [[5]]}'], "item 8: "),
        (['{"item_id": 7, "v": [0.5]}', '{"item_id": 8, "v": [null]}'], "null.*: 8;"),
        (['{"item_id": 7, "v": [0.5]}', '{"item_id": 8}'], "null.*: 8;"),
        (['{"id": 7, "v": [0.5]}'], "no column item_id.* --ids-column"),
        (['{"item_id": 7, "v": [0.5], "w": [0.5]}'], "v, w; .*--vector-column v"),
    ],
)
def test_json_lines_that_will_not_do(tmp_path, lines, message):
    (tmp_path / "v.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError, match=message):
        collect(Source(tmp_path / "v.jsonl"), tmp_path)


def test_ids_of_json_lines_are_exact(tmp_path):
    ids = 18446744073709551557, "007", 8.0
    rows = [json.dumps({"item_id": item, "v": [1, 0]}) for item in ids]
    (tmp_path / "v.jsonl").write_text("\n".join(rows))
    found, vectors = collect(Source(tmp_path / "v.jsonl"), tmp_path)
    assert found == ["18446744073709551557", "007", "8"]
    np.testing.assert_array_equal(vectors, [[1, 0]] * 3)


def test_blocks_of_json_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "BLOCK_CHARACTERS", 1)
    ids, vectors = collect(_json_lines(tmp_path / "v.jsonl", IDS, VECTORS), tmp_path)
    assert ids == ["7", "12", "42"]
    np.testing.assert_array_equal(vectors, VECTORS)


def test_row_numbers_of_an_index_are_no_ids(tmp_path):
    source = _faiss(tmp_path / "v.faiss", IDS, VECTORS)
    with pytest.raises(ConfigError, match="--ids FILE"):
        collect(Source(source.vectors), tmp_path)
    with pytest.raises(ConfigError, match=r"remove --ids"):
        collect(
            Source(_faiss_with_ids(tmp_path / "w.faiss", IDS, VECTORS).vectors, source.ids),
            tmp_path,
        )


def test_a_compressed_index(tmp_path):
    index = faiss.index_factory(2, "SQ8")
    index.train(VECTORS)
    index.add(VECTORS)
    faiss.write_index(index, str(tmp_path / "v.faiss"))
    with pytest.raises(DataError, match=r"IxSQ.* approximations"):
        collect(Source(tmp_path / "v.faiss"), tmp_path)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_bfloat16(tmp_path, suffix):
    tensors = {"key": torch.tensor(IDS), "value": torch.tensor(VECTORS).bfloat16()}
    path = tmp_path / f"v.{suffix}"
    torch.save(tensors, path) if suffix == "pt" else save_tensors(tensors, path)
    ids, vectors = collect(Source(path), tmp_path)
    assert ids == ["7", "12", "42"]
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, VECTORS, rtol=1 / 128)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "list instead of a tensor"),
        ({"a": 1}, "arrays .none."),
        ({"key": torch.tensor([7]), "value": torch.tensor([[1]])}, "type int64"),
        ({"key": torch.tensor([7]), "value": [[0.5]]}, "'value' is not a dense tensor"),
        ({"key": ["7", None], "value": torch.ones(2, 1)}, "row 2 .None."),
    ],
)
def test_files_of_torch_that_will_not_do(tmp_path, content, message):
    torch.save(content, tmp_path / "v.pt")
    with pytest.raises(DataError, match=message):
        collect(Source(tmp_path / "v.pt"), tmp_path)


def test_code_in_a_file_of_torch_never_runs(tmp_path):
    torch.save({"key": Bomb(), "value": torch.ones(1, 1)}, tmp_path / "v.pt")
    with pytest.raises(DataError, match=r"pickled.*savez"):
        collect(Source(tmp_path / "v.pt"), tmp_path)


def test_int8_with_a_scale(tmp_path):
    whole = np.array([[127, -127], [64, 1], [-128, 0]], np.int8)
    source = dataclasses.replace(_npz(tmp_path / "v.npz", IDS, whole), scale=0.5)
    (tmp_path / "scratch").mkdir()
    (block,) = read(source, tmp_path / "scratch")
    np.testing.assert_array_equal(block.vectors, whole * np.float32(0.5))
    assert block.notes == ("int8 vectors are multiplied by 0.5",)
    with pytest.raises(ConfigError, match=r"--scale .*float32"):
        collect(dataclasses.replace(_npz(tmp_path / "w.npz", IDS, VECTORS), scale=0.5), tmp_path)
    for scale in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="--scale"):
            collect(dataclasses.replace(source, scale=scale), tmp_path)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["[0.5, 1]", "[0.5, 1", "[0, 1]"], r"v.parquet, row 2, item 12: '\[0.5, 1'"),
        (["[0.5, 1]", "[0, 1]", "0.5;1"], r"v.parquet, row 3, item 42: '0.5;1'"),
        (["a" * 99, "b", "c"], r"row 1, item 7: 'a{60}...'"),
    ],
)
def test_a_list_as_text_that_cannot_be_parsed(tmp_path, column, message):
    pq.write_table(pa.table({"item_id": IDS, "v": column}), tmp_path / "v.parquet", 1)
    with pytest.raises(DataError, match=message):
        collect(Source(tmp_path / "v.parquet", column="v"), tmp_path)
