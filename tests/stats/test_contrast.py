import numpy as np
import pytest

from ctrbench.stats.contrast import (
    Contrast,
    interaction_variance,
    own_seeds,
    pair,
    pooled_seeds,
    user_variance,
    variance,
)


def test_pair_takes_the_seeds_that_both_have():
    moved = {0: np.array([1.0, -1.0]), 1: np.array([2.0, -2.0])}
    found = pair({0: 0.7, 1: 0.8, 2: 0.9}, moved, {1: 0.5}, {1: np.array([0.5, -0.5])}, "base")
    assert found is not None
    assert found.seeds == (1,)
    assert found.estimate == pytest.approx(0.3)
    assert found.influence.tolist() == [[1.5, -1.5]]
    assert found.reference == "base"
    assert pair({0: 0.7}, moved, {2: 0.5}, {2: np.zeros(2)}) is None


def test_variances_by_hand():
    """Two seeds, two users: means (1, -1), spreads over seeds 0.5 each."""
    contrast = Contrast((0, 1), np.array([0.1, 0.3]), np.array([[1.5, -1.5], [0.5, -0.5]]))
    assert user_variance(contrast) == pytest.approx(2 * (1 + 1))
    assert interaction_variance(contrast) == pytest.approx(2 * (0.5 + 0.5))
    seeds = own_seeds(contrast)
    assert seeds is not None
    assert (seeds.variance, seeds.degrees) == (pytest.approx(0.02), 1)


def test_the_interaction_is_taken_out_of_the_seeds_part():
    rng = np.random.default_rng(0)
    influence = rng.normal(0, 0.01, (4, 50))
    influence -= influence.mean(axis=1, keepdims=True)
    contrast = Contrast((0, 1, 2, 3), np.array([0.0, 0.4, 0.8, 1.2]), influence)
    seeds = own_seeds(contrast)
    assert seeds is not None
    found = variance(contrast, seeds)
    assert found.seeds == pytest.approx((seeds.variance - interaction_variance(contrast)) / 4)
    assert found.users == user_variance(contrast)
    expected = found.total**2 / (found.users**2 / 49 + (seeds.variance / 4) ** 2 / 3)
    assert found.degrees == pytest.approx(expected)


def test_one_seed_leaves_the_users_alone():
    contrast = Contrast((0,), np.array([0.1]), np.array([[0.2, -0.1, -0.1]]))
    found = variance(contrast, own_seeds(contrast))
    assert (found.seeds, found.degrees) == (0, 2)


def _many(reference: list[str], scale: list[float]) -> list[Contrast]:
    rng = np.random.default_rng(3)
    shared = rng.normal(0, 1, 5)
    return [
        Contrast(tuple(range(5)), s * (shared + rng.normal(0, 1, 5)), np.zeros((5, 9)), name)
        for name, s in zip(reference, scale, strict=True)
    ]


def test_pooled_variance_is_the_mean_with_fewer_degrees_than_independent_ones():
    contrasts = _many(["base"] * 6, [1.0] * 6)
    pooled = pooled_seeds(contrasts)
    mean = np.mean([contrast.delta.var(ddof=1) for contrast in contrasts])
    for seeds in pooled:
        assert seeds is not None
        assert seeds.variance == pytest.approx(mean)
        assert 4 < seeds.degrees < 24


def test_unlike_variances_and_other_references_are_not_pooled():
    for contrasts in (_many(["base"] * 3, [1.0, 1.0, 100.0]), _many(["one", "two"], [1.0, 1.0])):
        for contrast, seeds in zip(contrasts, pooled_seeds(contrasts), strict=True):
            assert seeds == own_seeds(contrast)
