"""HDF5 files, where h5py is installed."""

import sys

import numpy as np
import pytest

from ctrbench.embeddings.readers import Source
from ctrbench.errors import ConfigError, DataError

from .test_readers import IDS, VECTORS, collect


def _write(path, **arrays):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name.replace("__", "/")] = array
    return Source(path)


@pytest.mark.parametrize("name", ["v.h5", "v.hdf5"])
@pytest.mark.parametrize("kind", [int, float, bytes, str])
def test_ids_of_each_type(tmp_path, name, kind):
    ids = [kind(item) if kind is not bytes else str(item).encode() for item in IDS]
    source = _write(tmp_path / name, key=ids if kind is str else np.array(ids), value=VECTORS)
    found, vectors = collect(source, tmp_path)
    assert found == ["7", "12", "42"]
    np.testing.assert_array_equal(vectors, VECTORS)


def test_names_in_groups(tmp_path):
    path = _write(tmp_path / "v.h5", item__id=IDS, item__image=VECTORS).vectors
    with pytest.raises(DataError, match=r"arrays item/id, item/image; .*'key'.* --key"):
        collect(Source(path), tmp_path)
    names = {"key": "item/id", "value": "item/image"}
    assert collect(Source(path, **names), tmp_path)[0] == ["7", "12", "42"]


def test_one_data_set_and_an_ids_file(tmp_path):
    path = _write(tmp_path / "v.h5", image=VECTORS).vectors
    (tmp_path / "ids.txt").write_text("7\n12\n42\n")
    assert collect(Source(path, tmp_path / "ids.txt"), tmp_path)[0] == ["7", "12", "42"]
    with pytest.raises(ConfigError, match="--ids FILE"):
        collect(Source(path), tmp_path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"key": [[7], [12], [42]], "value": VECTORS}, r"shape \(3, 1\)"),
        ({"key": IDS[:2], "value": VECTORS}, "3 vectors but 2 ids"),
        ({"key": IDS, "value": VECTORS.astype(int)}, "type int64"),
        ({"key": IDS, "value": VECTORS[:, 0]}, r"shape \(3,\)"),
    ],
)
def test_layouts_that_will_not_do(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        collect(_write(tmp_path / "v.h5", **arrays), tmp_path)


def test_a_truncated_file(tmp_path):
    path = _write(tmp_path / "v.h5", key=IDS, value=VECTORS).vectors
    data = path.read_bytes()
    for kept in (1, len(data) // 3, len(data) - 1):
        path.write_bytes(data[:kept])
        with pytest.raises(DataError, match="not a complete HDF5 file"):
            collect(Source(path), tmp_path)


def test_without_h5py(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "v.h5").write_bytes(b"content")
    with pytest.raises(ConfigError, match=r"pip install ctrbench\[h5\]"):
        collect(Source(tmp_path / "v.h5"), tmp_path)
