import numpy as np
import pytest

from data_synth.vectors import VERSIONS, noisy, oracle, random, with_image
from data_synth.world import make_world


@pytest.mark.parametrize("name", VERSIONS)
def test_same_seed_same_vectors(taste, name):
    vectors = VERSIONS[name](taste)
    assert vectors.shape == (1000, 48)
    np.testing.assert_array_equal(vectors, VERSIONS[name](make_world(taste.config)))


def test_oracle_keeps_every_cosine(taste):
    vectors, style = oracle(taste), taste.items.style
    np.testing.assert_allclose(vectors @ vectors.T, style @ style.T, atol=1e-12)


def test_noisy_has_the_stated_signal_to_noise_ratio(taste):
    noise = noisy(taste) - oracle(taste)
    assert (oracle(taste) ** 2).sum() / (noise**2).sum() == pytest.approx(0.5, rel=0.02)


def _agreement(vectors: np.ndarray, style: np.ndarray) -> float:
    above = np.triu_indices(len(style), k=1)
    return float(np.corrcoef((vectors @ vectors.T)[above], (style @ style.T)[above])[0, 1])


def test_oracle_over_noisy_over_random(taste):
    agreement = [_agreement(make(taste), taste.items.style) for make in (oracle, noisy, random)]
    assert agreement[0] == pytest.approx(1)
    assert 0.4 < agreement[1] < 0.95
    assert abs(agreement[2]) < 0.01


def test_some_items_have_no_image(taste):
    rows = with_image(taste)
    assert len(rows) == 970
    assert len(set(rows)) == 970
    np.testing.assert_array_equal(rows, with_image(taste))
