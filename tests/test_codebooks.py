"""Codebooks of a version, on a small world and on constructed vectors."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from ctrbench import codebooks, embeddings, impressions
from ctrbench.codebooks import Codebook, agreement, central_items, describe, make_codebook
from ctrbench.errors import ConfigError, DamagedError, DataError, UnknownNameError
from ctrbench.schema import EmbeddingTable


@pytest.fixture
def log(workspace):
    return impressions.open_impressions(workspace, "taste")


def corners():
    """Return four items on two rays, one without a vector."""
    vectors = np.array([[0, 0], [1, 0], [2, 0.1], [0, 3], [0.1, 1]], np.float32)
    has = np.array([False, True, True, True, True])
    book = Codebook(np.eye(2, dtype=np.float32), np.array([-1, 0, 0, 1, 1]))
    return EmbeddingTable(vectors, has), book


def test_facts_of_two_clusters_of_two():
    table, book = corners()
    facts = describe(table, [book], center=False)
    assert (facts.size, facts.used, facts.entropy_bits, facts.largest) == (2, 1.0, 1.0, 0.5)
    assert facts.collisions == 1.0
    assert facts.neighbours == pytest.approx(1 / 3)  # of the three others, one shares the code
    unit = table.vectors[1:] / np.linalg.norm(table.vectors[1:], axis=1, keepdims=True)
    centres = book.centres[[0, 0, 1, 1]]
    assert facts.inertia == pytest.approx(np.square(unit - centres).sum(axis=1).mean())
    assert facts.rand is None


def test_preserved_distances_equal_a_rank_correlation(workspace, log):
    table = embeddings.open_version(workspace, "taste", "oracle")
    book = make_codebook(workspace, log, "oracle", 9)
    items = np.flatnonzero(table.has_vector)
    unit = table.vectors / np.maximum(np.linalg.norm(table.vectors, axis=1, keepdims=True), 1e-9)
    one, two = (grid.ravel() for grid in np.meshgrid(items, items))
    one, two = one[one != two], two[one != two]
    before = np.linalg.norm(unit[one] - unit[two], axis=1)
    after = np.linalg.norm(book.centres[book.code[one]] - book.centres[book.code[two]], axis=1)
    expected = spearmanr(before, after).statistic
    assert describe(table, [book], center=False).distances == pytest.approx(expected, abs=0.02)


def test_more_centres_preserve_more_distances(workspace, log):
    table = embeddings.open_version(workspace, "taste", "oracle")
    kept = [
        describe(table, [make_codebook(workspace, log, "oracle", size)], center=False).distances
        for size in (2, 8, 32)
    ]
    assert kept[0] < kept[1] < kept[2]


def test_stability_over_seeds_equals_that_of_scikit_learn(workspace, log):
    books = [make_codebook(workspace, log, "oracle", 6, seed=seed) for seed in range(2)]
    table = embeddings.open_version(workspace, "taste", "oracle")
    codes = [book.code[table.has_vector] for book in books]
    facts = describe(table, books, center=False)
    assert facts.rand == pytest.approx(adjusted_rand_score(*codes))
    assert facts.mutual == pytest.approx(normalized_mutual_info_score(*codes))
    assert agreement(books[0], books[0]) == (pytest.approx(1), pytest.approx(1))


def test_codebook_is_fitted_once_and_cached(workspace, log, monkeypatch):
    first = make_codebook(workspace, log, "oracle", 6, center=True)
    monkeypatch.setattr(codebooks, "fit_by", None)
    again = make_codebook(workspace, log, "oracle", 6, center=True)
    np.testing.assert_array_equal(first.code, again.code)
    with pytest.raises(TypeError):  # other settings are another codebook
        make_codebook(workspace, log, "oracle", 6, center=False)


def test_codes_equal_those_of_the_mode(workspace, log):
    """Check that the described codebook is the one that `cluster_id` uses."""
    from ctrbench.batches.slots import HistorySlots
    from ctrbench.injection import Images, load_mode

    table = embeddings.open_version(workspace, "taste", "oracle")
    fitting = impressions.items_in_period(log, "pretrain") & table.has_vector
    mode = load_mode("cluster_id", {"codebook_size": 7})
    images = Images(table.vectors, np.asarray(table.has_vector), fitting)
    prepared = mode.prepare(images, HistorySlots(log, 10), 3)
    book = make_codebook(workspace, log, "oracle", 7, seed=3)
    np.testing.assert_array_equal(prepared.item["code"][:, 0], 1 + book.code)


def test_export_contains_raw_ids(tmp_path):
    _, book = corners()
    codebooks.export(book, ["a", "b", "c", "d"], tmp_path / "out")
    found = pd.read_parquet(tmp_path / "out" / "codes.parquet")
    assert found.to_dict("list") == {"item_id": ["a", "b", "c", "d"], "code": [0, 0, 1, 1]}
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "centres.npy"), np.eye(2))


def test_central_items_of_the_largest_cluster_come_first():
    table, _ = corners()
    book = Codebook(np.eye(2, dtype=np.float32), np.array([-1, 0, 0, 0, 1]))
    found = central_items(book, table, center=False, rows=5, columns=2)
    assert found.tolist() == [[1, 2], [4, -1]]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"method": "kmean"}, UnknownNameError, "kmeans"),
        ({"codebook_size": 0}, ConfigError, "size 0"),
        ({"codebook_size": 1}, ConfigError, "size 1"),
        ({"version": "constant"}, DataError, "'constant'"),
        ({"codebook_size": 5000}, DataError, "5000"),
        ({"version": "oracel"}, UnknownNameError, "oracle"),
    ],
)
def test_invalid_input_is_an_error(workspace, log, changes, error, message):
    given = {"version": "oracle", "codebook_size": 5} | changes
    with pytest.raises(error, match=message):
        make_codebook(workspace, log, **given)


def flip(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [flip, lambda path: path.write_bytes(path.read_bytes()[:-50])])
@pytest.mark.parametrize("name", ["centres.npy", "code.npy"])
def test_a_damaged_codebook_is_fitted_again(workspace, log, name, damage):
    before = make_codebook(workspace, log, "oracle", 9)
    (path,) = (workspace.cache / "codebooks").rglob(name)
    damage(path)
    after = make_codebook(workspace, log, "oracle", 9)
    assert np.array_equal(after.centres, before.centres)
    assert np.array_equal(after.code, before.code)


def test_no_codebook_is_fitted_on_damaged_vectors(workspace, log):
    flip(workspace.embeddings / "taste" / "oracle" / "vectors.npy")
    with pytest.raises(DamagedError, match="'oracle' of 'taste' is damaged"):
        make_codebook(workspace, log, "oracle", 9)
    assert not list(workspace.cache.rglob("centres.npy"))
