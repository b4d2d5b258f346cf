"""Folders of `.npy` files whose names Ducho cut at the first dot."""

import numpy as np
import pytest

from ctrbench import embeddings
from ctrbench.errors import DataError

VECTORS = np.eye(3, dtype=np.float32)


@pytest.fixture
def add_folder(workspace, log, tmp_path):
    def add(raw_ids, names):
        folder = tmp_path / "layer"
        folder.mkdir()
        for name, vector in zip(names, VECTORS, strict=False):
            np.save(folder / f"{name}.npy", vector)
        source = embeddings.Source(folder)
        embeddings.add_version(workspace, log, raw_ids, "ducho", source, None, True)
        table = embeddings.open_version(workspace, "tiny", "ducho")
        return {
            raw: table.vectors[item].tolist()
            for item, raw in enumerate(raw_ids, start=1)
            if table.has_vector[item]
        }

    return add


def test_a_name_is_the_only_item_with_this_beginning(add_folder):
    found = add_folder(["12.5", "7", "a", "b", "c", "d"], ["12", "7"])
    assert found == {"12.5": [1, 0, 0], "7": [0, 1, 0]}


@pytest.mark.parametrize(
    ("raw_ids", "words"),
    [
        (["12.5", "12.7", "7", "a", "b", "c"], r"12\.npy \(12\.5 or 12\.7\)"),
        (["12.5", "12", "7", "a", "b", "c"], r"12\.npy \(12 or 12\.5\)"),
    ],
)
def test_items_that_ducho_writes_to_one_file_are_refused(add_folder, workspace, raw_ids, words):
    with pytest.raises(DataError, match=f"1 file.* may belong to several items.* ids {words}"):
        add_folder(raw_ids, ["12", "7"])
    assert not embeddings.names(workspace, "tiny")


def test_items_without_a_file_do_not_collide(add_folder):
    assert add_folder(["12.5", "12.7", "7", "a", "b", "c"], ["7", "a"]) == {
        "7": [1, 0, 0],
        "a": [0, 1, 0],
    }


def test_names_with_a_dot_are_whole_ids(add_folder):
    found = add_folder(["12.5A", "12.7A", "12", "7", "a", "b"], ["12", "12.5A", "12.7A"])
    assert found == {"12": [1, 0, 0], "12.5A": [0, 1, 0], "12.7A": [0, 0, 1]}
