from itertools import pairwise

import numpy as np
import pytest

from ctrbench.clustering import fit_codebook, nearest_code
from ctrbench.clustering import single_pass as single_pass_module
from ctrbench.clustering.hierarchical import fit_hierarchical
from ctrbench.clustering.single_pass import _chunks, fit_single_pass

SIZE = 40


def made(rows=20_000, width=16):
    """Vectors of 60 loose clusters, sorted by cluster."""
    rng = np.random.default_rng(0)
    cluster = np.sort(rng.integers(60, size=rows))
    vectors = rng.normal(size=(60, width))[cluster] + 0.6 * rng.normal(size=(rows, width))
    return vectors.astype(np.float32)


def inertia(vectors, centres):
    return np.square(vectors - centres[nearest_code(vectors, centres)]).sum()


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_ends_near_to_converged_kmeans_in_any_order(order):
    vectors = made()
    if order == "shuffled":
        vectors = vectors[np.random.default_rng(1).permutation(len(vectors))]
    converged = inertia(vectors, fit_codebook(vectors, SIZE, 0))
    assert inertia(vectors, fit_single_pass(vectors, SIZE, 0)) < 1.05 * converged


def test_one_lloyd_step_is_not_enough_here():
    """Or the test above would prove nothing."""
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


def test_a_chunk_moves_centres_to_the_thresholded_mean_of_its_vectors(monkeypatch):
    monkeypatch.setattr(single_pass_module, "FIRST_PER_CENTRE", 300)
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


def test_hierarchical_centres_are_as_many_as_asked_for_and_near_to_kmeans():
    vectors = made()
    found = fit_hierarchical(vectors, 300, 0)
    assert found.shape == (300, vectors.shape[1])
    assert inertia(vectors, found) < 1.05 * inertia(vectors, fit_codebook(vectors, 300, 0))


def test_hierarchical_with_as_many_centres_as_vectors():
    few = made(90)
    assert inertia(few, fit_hierarchical(few, 90, 0)) < 1e-6
