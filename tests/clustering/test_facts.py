import numpy as np

from ctrbench.clustering import collisions, level_facts


def test_facts_of_every_level():
    facts = level_facts(np.array([[0, 1], [0, 1], [1, 1], [1, 0]]), 2)
    assert facts["codes_used_1"] == 1.0
    assert facts["largest_code_2"] == 0.75
    assert facts["collisions"] == 0.5


def test_collisions_of_single_codes():
    assert collisions(np.array([3, 3, 1, 2])) == 0.5
    assert collisions(np.zeros(0, int)) == 0.0
