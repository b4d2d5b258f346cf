import numpy as np
import pytest
import torch

from ctrbench.pretraining.sources import FrozenVectors
from ctrbench.schema import EmbeddingTable

KNOWN = np.array([False, True, True, True])
PLAIN = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


@pytest.mark.parametrize("exponent", [-110, 0, 110])
def test_inputs_do_not_depend_on_the_length_of_vectors(exponent):
    items = np.array([1, 2, 3])
    expected = FrozenVectors(EmbeddingTable(PLAIN, KNOWN), "raw", "hash", KNOWN).inputs(items)
    scaled = EmbeddingTable(np.ldexp(PLAIN, exponent), KNOWN)
    found = FrozenVectors(scaled, "raw", "hash", KNOWN).inputs(items)
    torch.testing.assert_close(found, expected)
    assert float(found.square().mean()) == pytest.approx(1, rel=1e-5)
