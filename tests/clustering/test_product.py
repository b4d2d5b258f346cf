import faiss
import numpy as np

from ctrbench.clustering import fit_product, product_codes

VECTORS = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)


def test_codes_equal_faiss_on_the_same_centres():
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


def test_a_part_with_few_values_takes_these():
    vectors = VECTORS.copy()
    vectors[:, :2] = np.arange(400)[:, None] % 3
    first, _ = fit_product(vectors, 2, 16, seed=0)[:2]
    assert len(first) == 16
    assert len(np.unique(first, axis=0)) <= 16
