from itertools import pairwise

import numpy as np
import pytest

from ctrbench.clustering import fit_codebook, nearest_code, one_code
from ctrbench.clustering.one_code import _chunks, fit_hierarchical, fit_single_pass
from ctrbench.errors import DataError

SIZE = 40


def test_nearest_code_equals_brute_force():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 5)).astype(np.float32)
    codebook = rng.normal(size=(9, 5)).astype(np.float32)
    distance = ((vectors[:, None] - codebook[None]) ** 2).sum(axis=2)
    assert nearest_code(vectors, codebook).tolist() == distance.argmin(axis=1).tolist()


def test_centres_are_the_means_of_their_points():
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(300, 2)) + 20 * rng.integers(0, 3, (300, 1))).astype(np.float32)
    codebook = fit_codebook(vectors, 3, seed=1)
    code = nearest_code(vectors, codebook)
    means = np.stack([vectors[code == c].mean(axis=0) for c in range(3)])
    np.testing.assert_allclose(codebook, means, rtol=1e-4)


def test_each_seed_draws_its_own_codebook():
    vectors = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    assert not np.array_equal(fit_codebook(vectors, 5, 1), fit_codebook(vectors, 5, 2))


def test_constant_vectors_share_one_code():
    codebook = fit_codebook(np.ones((10, 3), np.float32), 4, seed=0)
    assert set(nearest_code(np.ones((10, 3), np.float32), codebook)) == {0}


def test_too_few_distinct_vectors_are_an_error():
    vectors = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
    with pytest.raises(DataError, match=r"codebook_size 4 .* \(3, of 15 items\); choose at most 3"):
        fit_codebook(vectors, 4, seed=0)


def made(rows=20_000, width=16):
    """Return vectors of 60 loose clusters, sorted by cluster."""
    rng = np.random.default_rng(0)
    cluster = np.sort(rng.integers(60, size=rows))
    vectors = rng.normal(size=(60, width))[cluster] + 0.6 * rng.normal(size=(rows, width))
    return vectors.astype(np.float32)


def inertia(vectors, centres):
    return np.square(vectors - centres[nearest_code(vectors, centres)]).sum()


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_single_pass_is_close_to_converged_kmeans_in_any_order(order):
    vectors = made()
    if order == "shuffled":
        vectors = vectors[np.random.default_rng(1).permutation(len(vectors))]
    converged = inertia(vectors, fit_codebook(vectors, SIZE, 0))
    assert inertia(vectors, fit_single_pass(vectors, SIZE, 0)) < 1.05 * converged


def test_one_lloyd_step_is_far_from_convergence():
    """Check that one Lloyd step is far from convergence, unlike in the previous test."""
    vectors = made()
    rng = np.random.default_rng(0)
    centres = vectors[rng.choice(len(vectors), SIZE, replace=False)].copy()
    code = nearest_code(vectors, centres)
    for place in np.unique(code):
        centres[place] = vectors[code == place].mean(axis=0)
    assert inertia(vectors, centres) > 1.05 * inertia(vectors, fit_codebook(vectors, SIZE, 0))


def test_every_vector_is_read_once():
    chunks = list(_chunks(10_007, 20, seed=3))
    assert sorted(np.concatenate(chunks).tolist()) == list(range(10_007))
    assert all(len(after) > len(before) for before, after in pairwise(chunks))


def test_chunk_moves_centres_to_the_thresholded_mean(monkeypatch):
    monkeypatch.setattr(one_code, "FIRST_PER_CENTRE", 300)
    vectors = made(4000)
    first, second = _chunks(len(vectors), 4, seed=0)
    start = fit_codebook(vectors[first], 4, 0)
    code = nearest_code(vectors[second], start)
    least = 0.1 * (len(first) / len(second)) ** 0.5
    found = fit_single_pass(vectors, 4, 0, threshold=0.1)
    for place in range(4):
        mean = vectors[second][code == place].mean(axis=0, dtype=np.float64)
        expected = np.sign(mean) * np.maximum(np.abs(mean) - least, 0)
        np.testing.assert_allclose(found[place], expected, atol=1e-6)


def test_hierarchical_has_the_given_number_of_centres_close_to_kmeans():
    vectors = made()
    found = fit_hierarchical(vectors, 300, 0)
    assert found.shape == (300, vectors.shape[1])
    assert inertia(vectors, found) < 1.05 * inertia(vectors, fit_codebook(vectors, 300, 0))


def test_hierarchical_with_as_many_centres_as_vectors():
    few = made(90)
    assert inertia(few, fit_hierarchical(few, 90, 0)) < 1e-6
