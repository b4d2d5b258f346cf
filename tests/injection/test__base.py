"""Normalisation of vectors of extreme length."""

import numpy as np
import pytest

from .made import images

PLAIN = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)


def cosines(unit):
    return unit[1:].astype(np.float64) @ unit[1:].T


def by_hand(vectors, center=False):
    vectors = vectors.astype(np.float64)
    vectors = vectors - vectors[1:].mean(axis=0) if center else vectors
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("factor", [1e-30, 1e-12, 1.0, 1e12, 1e38])
def test_directions_do_not_depend_on_the_length(factor, center):
    vectors = (PLAIN * np.float32(factor)).clip(-3e38, 3e38)
    found = images(vectors).unit(center)
    np.testing.assert_allclose(found[1:], by_hand(vectors, center)[1:], atol=2e-6)


def test_half_floats_whose_norm_overflows():
    vectors = (np.sign(PLAIN) * 60000).astype(np.float16)  # of norm 120000
    np.testing.assert_allclose(images(vectors).unit()[1:], np.sign(PLAIN[1:]) / 2, atol=1e-6)


def test_a_zero_vector_stays_zero():
    vectors = PLAIN.copy()
    vectors[3] = 0
    assert not images(vectors).unit()[3].any()
