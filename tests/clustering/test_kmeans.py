import numpy as np
import pytest

from ctrbench.clustering import fit_codebook, nearest_code
from ctrbench.errors import DataError


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


def test_too_few_distinct_vectors():
    vectors = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
    with pytest.raises(DataError, match=r"codebook_size 4 .* \(3, of 15 items\); choose at most 3"):
        fit_codebook(vectors, 4, seed=0)
