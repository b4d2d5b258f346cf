import numpy as np
import pytest
from sklearn.decomposition import PCA

from ctrbench import arrays, embeddings
from ctrbench.errors import ConfigError, DataError, UnknownNameError

ROWS = {"7": [1, 2, 9], "12": [3, 5, 0], "a": [4, 0, 1], "b": [-2, 1, 5], "0042": [7, 7, 3]}
FIT = [0, 1, 1, 1, 1, 0, 1]  # all but item 5; item 6 has no vector


@pytest.fixture
def derive(workspace, dataset, add):
    add("raw", ROWS)

    def call(method, name, fit=FIT, parent="raw", **settings):
        fitting = embeddings.Fitting("pretrain", np.array(fit, bool))
        return embeddings.derive_version(
            workspace, dataset, parent, name, (method, settings), fitting
        )

    return call


def test_center_subtracts_the_fitting_items_mean(derive, workspace):
    manifest, new = derive("center", "centred")
    table = embeddings.open_version(workspace, "tiny", "centred")
    expected = np.array(list(ROWS.values())) - [1.5, 2, 3.75]
    np.testing.assert_allclose(table.vectors[1:6], expected)
    assert new
    assert not table.vectors[[0, 6]].any()
    assert table.has_vector.tolist() == [False, True, True, True, True, True, False]
    made = manifest.provenance
    assert (made["method"], made["parent"], made["settings"]) == (
        "center",
        "raw",
        {},
    )
    assert (made["fit_period"], made["fit_items"]) == ("pretrain", 4)
    raw = embeddings.read_manifest(workspace, "tiny", "raw")
    assert made["parent_hash"] == raw.content_hash


@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_pca_equals_scikit_learn_up_to_sign(derive, workspace, monkeypatch, block_bytes):
    monkeypatch.setattr(arrays, "BLOCK_BYTES", block_bytes)
    manifest, _ = derive("pca", "narrow", width=2)
    vectors = np.array(list(ROWS.values()), float)
    reference = PCA(2, svd_solver="full").fit(vectors[:4])
    largest = np.abs(reference.components_).argmax(axis=1)
    sign = np.sign(reference.components_[[0, 1], largest])
    made = embeddings.open_version(workspace, "tiny", "narrow").vectors
    np.testing.assert_allclose(made[1:6], reference.transform(vectors) * sign, rtol=1e-5)
    explained = reference.explained_variance_ratio_.sum()
    assert manifest.provenance["explained_variance"] == pytest.approx(explained)
    assert (manifest.width, manifest.dtype) == (2, "float32")


def test_a_derived_zero_vector_is_missing(derive, add, workspace):
    add("pair", {"7": [1, 2], "12": [3, 6], "a": [2, 4]})
    manifest, _ = derive("center", "centred", fit=[0, 1, 1, 0, 0, 0, 0], parent="pair")
    table = embeddings.open_version(workspace, "tiny", "centred")
    assert table.has_vector.tolist() == [False, True, True, False, False, False, False]
    assert manifest.zero_vectors == 1


def test_deriving_twice_returns_the_existing_version(derive):
    first, _ = derive("pca", "narrow", width=2)
    again, new = derive("pca", "narrow", width=2)
    assert (again, new) == (first, False)


def test_same_name_with_another_recipe_is_refused(derive):
    derive("pca", "narrow", width=2)
    with pytest.raises(ConfigError, match=r"'.*' of 'tiny'"):
        derive("pca", "narrow", width=1)
    with pytest.raises(ConfigError, match=r"'.*' of 'tiny'"):
        derive("pca", "narrow", fit=[1] * 7, width=2)


def test_derived_from_derived(derive, workspace):
    derive("center", "centred")
    manifest, _ = derive("pca", "both", parent="centred", width=1)
    assert manifest.provenance["parent"] == "centred"


def test_invalid_arguments(derive, workspace):
    with pytest.raises(UnknownNameError, match="'pcaa'; known: center, pca"):
        derive("pcaa", "x")
    with pytest.raises(UnknownNameError, match="'row'; known: raw"):
        derive("pca", "x", parent="row")
    with pytest.raises(ConfigError, match=r"center.*'width'"):
        derive("center", "x", width=3)
    with pytest.raises(ConfigError, match=r"pca\.width: must be above 0"):
        derive("pca", "x", width=0)
    with pytest.raises(ConfigError, match=r"width 3 or less"):
        derive("pca", "x", width=4)
    with pytest.raises(DataError, match=r"pretrain .*'raw'"):
        derive("center", "x", fit=[0, 0, 0, 0, 0, 0, 1])
    with pytest.raises(ConfigError, match="embedding version name"):
        derive("center", "../x")
    assert embeddings.names(workspace, "tiny") == ["raw"]


def test_pca_requires_different_vectors(derive, add):
    add("same", {raw: [1, 2] for raw in ROWS})
    with pytest.raises(DataError, match="pca"):
        derive("pca", "x", parent="same", width=1)
    with pytest.raises(ConfigError, match=r" 0, .* 1 fitting items with vectors of 2 "):
        derive("pca", "x", parent="same", fit=[0, 1, 0, 0, 0, 0, 0], width=1)
