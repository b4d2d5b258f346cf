import numpy as np

from ctrbench.clustering import count_distinct


def test_distinct_vectors_are_counted_as_numpy_counts_them():
    rng = np.random.default_rng(0)
    vectors = rng.integers(0, 3, (5000, 4)).astype(np.float32)
    assert count_distinct(vectors) == len(np.unique(vectors, axis=0))
    assert count_distinct(np.array([[0.0, 1.0], [-0.0, 1.0]], np.float32)) == 1
    single = np.eye(70, dtype=np.float32)
    assert count_distinct(np.concatenate([single, -single, single])) == 140
