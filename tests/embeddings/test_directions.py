import numpy as np
import pytest

from ctrbench.embeddings.directions import bring_into_range, has_direction

PLAIN = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)


@pytest.mark.parametrize(
    ("vector", "has"),
    [
        ([0, 0], False),
        ([1e-30, 0], True),
        ([1e-38, 1e-38], True),  # subnormal numbers, whose norm is zero
        ([1e-39, 0], False),
        ([3e38, 3e38], True),
        ([np.nan, 0], True),
    ],
)
def test_vectors_with_a_direction(vector, has):
    assert has_direction(np.array([vector], np.float32)).tolist() == [has]


def test_subnormal_half_floats_have_a_direction():
    assert has_direction(np.array([[6e-8, 0], [60000, 60000]], np.float16)).all()


def test_ordinary_vectors_are_unchanged():
    vectors = PLAIN.copy()
    bring_into_range(vectors)
    np.testing.assert_array_equal(vectors, PLAIN)


@pytest.mark.parametrize("exponent", [-115, 120])
def test_extreme_vectors_are_scaled_exactly(exponent):
    vectors = np.ldexp(PLAIN, exponent)
    assert np.isfinite(vectors).all()
    bring_into_range(vectors)
    fraction = vectors / np.abs(vectors).max(axis=1, keepdims=True)
    np.testing.assert_array_equal(fraction, PLAIN / np.abs(PLAIN).max(axis=1, keepdims=True))
    assert np.isfinite(np.square(vectors).sum(axis=1)).all()
    assert (np.square(vectors).sum(axis=1) > 0).all()
