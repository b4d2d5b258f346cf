from itertools import pairwise

import faiss
import numpy as np

from ctrbench.clustering import fit_residual, residual_codes

VECTORS = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)


def test_codes_equal_a_greedy_loop_and_faiss():
    books = fit_residual(VECTORS, 3, 16, seed=0)
    code = residual_codes(VECTORS, books)
    for vector, own in zip(VECTORS[:50], code[:50], strict=True):
        left = vector.copy()
        for level, book in enumerate(books):
            nearest = np.square(left - book).sum(axis=1).argmin()
            assert own[level] == nearest
            left -= book[nearest]
    theirs = faiss.ResidualQuantizer(8, 3, 4)
    theirs.max_beam_size = 1  # greedy, as ours
    theirs.codebooks.resize(books.size)
    faiss.copy_array_to_vector(books.ravel(), theirs.codebooks)
    theirs.is_trained = True
    packed = theirs.compute_codes(VECTORS)
    bits = np.unpackbits(packed, axis=1, bitorder="little")[:, :12].reshape(-1, 3, 4)
    np.testing.assert_array_equal(bits @ (1 << np.arange(4)), code)


def test_every_level_leaves_less_over():
    books = fit_residual(VECTORS, 4, 16, seed=0)
    code = residual_codes(VECTORS, books)
    made, left = np.zeros_like(VECTORS), [np.square(VECTORS).sum()]
    for level in range(4):
        made += books[level][code[:, level]]
        left.append(np.square(VECTORS - made).sum())
    assert all(after < 0.95 * before for before, after in pairwise(left))


def test_few_remainders_are_taken_as_they_are():
    """As many centres as vectors: the first level leaves nothing over."""
    few = VECTORS[:5]
    books = fit_residual(few, 2, 5, seed=0)
    made = sum(books[level][residual_codes(few, books)[:, level]] for level in range(2))
    np.testing.assert_allclose(made, few, atol=1e-6)
