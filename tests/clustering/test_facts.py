import numpy as np

from ctrbench.clustering import collisions, count_distinct, level_facts


def test_facts_of_every_level():
    facts = level_facts(np.array([[0, 1], [0, 1], [1, 1], [1, 0]]), 2)
    assert facts["codes_used_1"] == 1.0
    assert facts["largest_code_2"] == 0.75
    assert facts["collisions"] == 0.5


def test_collisions_of_single_codes():
    assert collisions(np.array([3, 3, 1, 2])) == 0.5
    assert collisions(np.zeros(0, int)) == 0.0


def test_number_of_distinct_vectors_equals_that_of_numpy():
    rng = np.random.default_rng(0)
    vectors = rng.integers(0, 3, (5000, 4)).astype(np.float32)
    assert count_distinct(vectors) == len(np.unique(vectors, axis=0))
    assert count_distinct(np.array([[0.0, 1.0], [-0.0, 1.0]], np.float32)) == 1
    single = np.eye(70, dtype=np.float32)
    assert count_distinct(np.concatenate([single, -single, single])) == 140
