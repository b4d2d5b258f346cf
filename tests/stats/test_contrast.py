from dataclasses import replace

import numpy as np
import pytest

from ctrbench.stats import Contrast, Measured, Variance, pair
from ctrbench.stats.contrast import interaction_variance, user_degrees, user_variance


def test_pair_uses_common_seeds():
    moved = {0: np.array([1.0, -1.0]), 1: np.array([2.0, -2.0])}
    arm = Measured("new", {0: 0.7, 1: 0.8, 2: 0.9}, moved)
    found = pair(arm, Measured("base", {1: 0.5}, {1: np.array([0.5, -0.5])}), kind="vector")
    assert found is not None
    assert found.seeds == (1,)
    assert found.estimate == pytest.approx(0.3)
    assert found.influence.tolist() == [[1.5, -1.5]]
    assert (found.arm, found.reference, found.kind) == ("new", "base", "vector")
    assert pair(arm, Measured("base", {2: 0.5}, {2: np.zeros(2)})) is None


def test_reversed_is_reference_minus_arm():
    contrast = Contrast((0,), np.array([0.1]), np.array([[1.0, -1.0]]), "a", "b", "c")
    found = contrast.reversed()
    assert (found.estimate, found.arm, found.reference) == (-0.1, "b", "a")
    assert found.influence.tolist() == [[-1, 1]]


def test_variances_by_hand():
    """Return a contrast of two seeds and two users with means (1, -1) and spread 0.5 over seeds."""
    contrast = Contrast((0, 1), np.array([0.1, 0.3]), np.array([[1.5, -1.5], [0.5, -0.5]]))
    assert user_variance(contrast) == pytest.approx(2 * (1 + 1))
    assert interaction_variance(contrast) == pytest.approx(2 * (0.5 + 0.5))


def test_degrees_of_equal_users_and_of_one_heavy_user():
    even = Contrast((0,), np.zeros(1), np.tile([1.0, -1.0], 50)[None])
    assert user_degrees(even) == 99
    heavy = Contrast((0,), np.zeros(1), np.array([[10.0, -10.0, *np.tile([0.1, -0.1], 49)]]))
    assert 1 <= user_degrees(heavy) < 6


def test_degrees_are_bounded_by_the_effective_number_of_users():
    even = Contrast((0,), np.zeros(1), np.tile([1.0, -1.0], 50)[None], effective_users=7.5)
    assert user_degrees(even) == 6.5
    assert user_degrees(replace(even, effective_users=1.2)) == 1


def test_satterthwaite_s_degrees_by_hand():
    spread = Variance(users=1.0, user_degrees=50, seeds=3.0, seed_degrees=4)
    assert spread.total == 4
    assert spread.degrees == pytest.approx(16 / (1 / 50 + 9 / 4))


def test_variance_of_one_user_or_equal_users_is_unknown():
    one = Contrast((0, 1), np.array([0.1, 0.2]), np.array([[0.1, 0.0], [0.2, 0.0]]))
    equal_arms = Contrast((0,), np.array([0.1]), np.zeros((1, 9)))
    assert np.isnan(user_variance(one))
    assert np.isnan(user_variance(equal_arms))
    assert user_variance(Contrast((0,), np.zeros(1), np.zeros((1, 9)))) == 0


def test_users_without_influence_do_not_count():
    moved = np.array([[0.3, -0.1, -0.2]])
    few = Contrast((0,), np.array([0.1]), moved)
    many = Contrast((0,), np.array([0.1]), np.pad(moved, ((0, 0), (0, 100))))
    assert user_variance(many) == user_variance(few) == pytest.approx(3 / 2 * 0.14)
    assert user_degrees(many) == user_degrees(few)
