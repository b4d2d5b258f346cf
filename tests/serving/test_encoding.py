"""Inputs of new items, from an exported folder alone."""

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import ctrbench
from ctrbench import embeddings, impressions
from ctrbench.cli.main import app
from ctrbench.embeddings import Source
from ctrbench.errors import ConfigError, DataError
from ctrbench.injection import Images, load_mode
from ctrbench.serving import encode, export
from tests.injection.made import drawn

WIDTH = 48


def saved(path, ids, vectors):
    np.savez(path, key=np.array(ids), value=vectors)
    return Source(path)


def drawn_vectors(rows, width=WIDTH):
    return np.random.default_rng(3).normal(size=(rows, width)).astype(np.float32)


@pytest.mark.parametrize("mode", ["cluster_id", "sim_score"])
def test_known_items_have_the_inputs_of_their_table(exported, tmp_path, mode):
    workspace, folders = exported
    table = embeddings.open_version(workspace, "taste", "oracle")
    raw = impressions.raw_item_ids(workspace, "taste")
    items = np.flatnonzero(table.has_vector)
    source = saved(tmp_path / "v.npz", [raw[i - 1] for i in items], table.vectors[items])
    alone = tmp_path / "alone"
    shutil.copytree(folders[mode], alone)  # without a workspace
    found = encode(alone, source, tmp_path / "new.parquet")
    assert (found.items, found.without_vector) == (len(items), 0)
    new = pq.read_table(tmp_path / "new.parquet")
    known = pq.read_table(alone / "items.parquet").take(items)
    images = [name for name in known.column_names if name.startswith(("image.", "unit.", "has_"))]
    assert images
    for name in ("id", *images):
        assert new[name].to_pylist() == known[name].to_pylist()


def test_a_file_that_exists_is_not_replaced(exported, tmp_path):
    source = saved(tmp_path / "v.npz", ["a", "b"], drawn_vectors(2))
    before = (tmp_path / "v.npz").read_bytes()
    with pytest.raises(ConfigError, match=r"v\.npz exists; name a file that does not exist"):
        encode(exported[1]["cluster_id"], source, tmp_path / "v.npz")
    assert (tmp_path / "v.npz").read_bytes() == before


def test_zero_vectors_have_the_inputs_of_a_missing_image(exported, tmp_path):
    folder, vectors = exported[1]["cluster_id"], drawn_vectors(2)
    vectors[1] = 0
    found = encode(folder, saved(tmp_path / "v.npz", ["a", "b"], vectors), tmp_path / "n.parquet")
    assert found.without_vector == 1
    assert pq.read_table(tmp_path / "n.parquet").to_pylist()[1] == {
        "id": "b",
        "item_id": 0,
        "image.code": [0],
        "code": [-1],
    }


def test_arrays_in_memory_are_vectors(exported, tmp_path):
    folder = exported[1]["cluster_id"]
    found = ctrbench.encode(folder, drawn_vectors(3), tmp_path / "n.parquet", ids=[1, 2, 3])
    assert found.columns == ("item_id", "image.code", "code")
    assert pq.read_table(tmp_path / "n.parquet")["id"].to_pylist() == ["1", "2", "3"]


def refused(folder, source, tmp_path, kind=DataError):
    with pytest.raises(kind) as caught:
        encode(folder, source, tmp_path / "n.parquet")
    assert not (tmp_path / "n.parquet").exists()
    return str(caught.value)


def test_vectors_that_do_not_fit_are_refused(exported, tmp_path):
    folder, path = exported[1]["cluster_id"], tmp_path / "v.npz"
    assert refused(folder, saved(path, ["a"], drawn_vectors(1, 7)), tmp_path) == (
        f"{path}: vectors have width 7, but the model was trained on width 48. Give vectors of the "
        "same version."
    )
    assert refused(folder, saved(path, ["a", "a"], drawn_vectors(2)), tmp_path) == (
        f"{path}: 1 ids occur twice, such as a; keep one vector per item."
    )
    wrong = drawn_vectors(3)
    wrong[1, 5], wrong[2, 0] = np.nan, np.inf
    assert refused(folder, saved(path, ["a", "b", "c"], wrong), tmp_path) == (
        f"{path}: 2 vectors contain NaN or infinite numbers, such as those of b, c. Correct or "
        "remove them."
    )
    with pytest.raises(DataError) as caught:
        ctrbench.encode(folder, drawn_vectors(0), tmp_path / "n.parquet", ids=[])
    assert str(caught.value) == (
        "vectors (a numpy ndarray) contains no vectors; give those of at least one item."
    )
    source = {"text": saved(path, ["a"], drawn_vectors(1))}
    assert refused(folder, source, tmp_path, ConfigError) == (
        f"{folder} reads the vector fields image, but vectors are given for text; give --field "
        "NAME=FILE for each."
    )


def test_a_damaged_description_of_the_encoder_is_refused(exported, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(exported[1]["cluster_id"], folder)
    path = folder / "encoder" / "encoder.json"
    path.write_text("{", encoding="utf-8")
    source = saved(tmp_path / "v.npz", ["a"], drawn_vectors(1))
    assert refused(folder, source, tmp_path) == (
        f"{path} is damaged (Expecting property name enclosed in double quotes: line 1 column 2 "
        "(char 1)). Export the cell again."
    )


def test_another_folder_is_no_exported_model(tmp_path):
    source = saved(tmp_path / "v.npz", ["a"], drawn_vectors(1))
    assert refused(tmp_path, source, tmp_path, ConfigError) == (
        f"{tmp_path} is not an exported model: it has no model.json. Give a folder that `ctrbench "
        "export` wrote."
    )


def test_a_baseline_has_no_input_of_new_items(exported, tmp_path):
    folder = tmp_path / "baseline"
    export(exported[0], "taste/none/none", folder)
    source = saved(tmp_path / "v.npz", ["a"], drawn_vectors(1))
    assert refused(folder, source, tmp_path, ConfigError) == (
        f"{folder}: the model has no input that depends on the vectors of new items. Their item_id "
        "is 0, the unknown item."
    )


def test_the_command_requires_vectors_or_fields(exported, tmp_path):
    words = ["encode", str(exported[1]["cluster_id"]), "-o", str(tmp_path / "n.parquet")]
    for more in ([], ["--vectors", "v.npz", "--field", "image=v.npz"]):
        done = CliRunner().invoke(app, [*words, *more])
        assert isinstance(done.exception, ConfigError)
        assert str(done.exception) == (
            "give either --vectors FILE, or --field NAME=FILE for each vector field of the model."
        )


MODES = {
    "cluster_id": {"codebook_size": 5, "center": True},
    "residual_id": {"codebook_size": 4, "levels": 2},
    "product_id": {"codebook_size": 4, "parts": 2},
    "hash_id": {"codebook_size": 8, "kind": "simhash"},
    "vector": {"scale": "standard", "center": True},
    "sim_score": {},
}


@pytest.mark.parametrize("name", MODES)
def test_encode_gives_known_items_their_prepared_rows(slots, name):
    mode, given = load_mode(name, MODES[name]), drawn(slots, width=6)
    prepared = mode.prepare(given, slots, 3)
    arrays = mode.encoder(given, 3)
    assert arrays is not None
    items = np.flatnonzero(given.has_vector)
    for key, values in mode.encode(given.vectors[items], arrays).items():
        np.testing.assert_allclose(values, prepared.item[key][items], atol=1e-6)


def test_hash_of_the_bytes_encodes_known_items(slots):
    mode, given = load_mode("hash_id", {"kind": "random"}), drawn(slots, width=6)
    prepared, arrays = mode.prepare(given, slots, 1), mode.encoder(given, 1)
    items = np.flatnonzero(given.has_vector)
    found = mode.encode(given.vectors[items], arrays)["code"]
    assert np.array_equal(found, prepared.item["code"][items])


def test_versions_of_codes_cannot_encode(slots):
    rows = slots.impressions.item_rows
    codes = np.arange(rows)[:, None] % 3
    has = np.arange(rows) > 0
    given = Images(codes, has, has, (3,))
    mode = load_mode("cluster_id", {})
    assert mode.encoder(given, 0) is None
    assert np.array_equal(
        mode.codes_of(mode.prepare(given, slots, 0)), np.where(has[:, None], codes, -1)
    )
