from itertools import pairwise

import faiss
import numpy as np

from ctrbench.clustering import fit_product, fit_residual, product_codes, residual_codes

VECTORS = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)


def test_residual_codes_equal_a_greedy_loop_and_faiss():
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


def test_residuals_decrease_with_every_level():
    books = fit_residual(VECTORS, 4, 16, seed=0)
    code = residual_codes(VECTORS, books)
    made, left = np.zeros_like(VECTORS), [np.square(VECTORS).sum()]
    for level in range(4):
        made += books[level][code[:, level]]
        left.append(np.square(VECTORS - made).sum())
    assert all(after < 0.95 * before for before, after in pairwise(left))


def test_few_distinct_residuals_become_the_centres():
    """With as many centres as vectors, the first level leaves zero residuals."""
    few = VECTORS[:5]
    books = fit_residual(few, 2, 5, seed=0)
    made = sum(books[level][residual_codes(few, books)[:, level]] for level in range(2))
    np.testing.assert_allclose(made, few, atol=1e-6)


def test_product_codes_equal_faiss_on_the_same_centres():
    books = fit_product(VECTORS, 4, 16, seed=0)
    theirs = faiss.ProductQuantizer(8, 4, 4)
    faiss.copy_array_to_vector(np.stack(books).ravel(), theirs.centroids)
    packed = theirs.compute_codes(VECTORS)
    bits = np.unpackbits(packed, axis=1, bitorder="little").reshape(-1, 4, 4)
    np.testing.assert_array_equal(bits @ (1 << np.arange(4)), product_codes(VECTORS, books))


def test_parts_need_not_divide_the_width():
    books = fit_product(VECTORS, 3, 16, seed=0)
    assert [book.shape for book in books] == [(16, 3), (16, 3), (16, 2)]
    assert product_codes(VECTORS, books).shape == (400, 3)


def test_few_distinct_values_of_a_part_become_the_centres():
    vectors = VECTORS.copy()
    vectors[:, :2] = np.arange(400)[:, None] % 3
    first, _ = fit_product(vectors, 2, 16, seed=0)[:2]
    assert len(first) == 16
    assert len(np.unique(first, axis=0)) <= 16
