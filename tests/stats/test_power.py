from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

from ctrbench.stats import Contrast, infer, need


def _inference(users_sd: float, seeds_sd: float, users: int = 4_000, seeds: int = 5):
    rng = np.random.default_rng(0)
    moved = rng.normal(0, users_sd / users, users)
    delta = seeds_sd * np.array([-1.5, -0.5, 0.0, 0.5, 1.5])[:seeds]
    return infer([Contrast(tuple(range(seeds)), delta, np.tile(moved - moved.mean(), (seeds, 1)))])[
        0
    ]


def test_seeds_cannot_help_if_user_variance_hides_the_effect():
    found = need(_inference(users_sd=1.0, seeds_sd=0.001), effect=0.01)
    # the error from 4,000 users is about 1 / sqrt(4000) = 0.0158; the MDE is 2.8 times that
    assert found.smallest_effect == pytest.approx(2.802 * 0.0158, rel=0.03)
    assert found.seeds is None
    assert found.users == pytest.approx((found.smallest_effect / 0.01) ** 2)


def test_required_seeds_have_80_percent_power():
    """In a simulation, Satterthwaite intervals on this many seeds have a power of 80 %."""
    inference = _inference(users_sd=0.1, seeds_sd=0.01)
    found = need(inference, effect=0.01)
    assert found.seeds is not None
    users, one_seed = inference.variance.users, inference.variance.seeds * 5

    def power(seeds: int) -> float:
        rng = np.random.default_rng(1)
        deltas = rng.normal(0.01, one_seed**0.5, (20_000, seeds))
        moved = deltas.mean(axis=1) + rng.normal(0, users**0.5, 20_000)
        of_seeds = deltas.var(axis=1, ddof=1) / seeds
        total = users + of_seeds
        degrees = total**2 / (of_seeds**2 / (seeds - 1) + users**2 / 3_999)
        return float(np.mean(moved > t.ppf(0.975, degrees) * total**0.5))

    assert power(found.seeds) == pytest.approx(0.8, abs=0.05)
    assert power(found.seeds - 2) < power(found.seeds)


def test_more_comparisons_require_more_seeds():
    inference = _inference(users_sd=0.1, seeds_sd=0.01)
    one, twenty = need(inference, 0.01), need(inference, 0.01, comparisons=20)
    assert twenty.seeds > one.seeds
    assert twenty.smallest_effect > one.smallest_effect


def test_item_variance_limits_the_detectable_effect():
    rng = np.random.default_rng(0)
    moved, delta = rng.normal(0, 1e-4, (1, 1_000)).repeat(5, axis=0), np.full(5, 0.01)
    items = rng.normal(0, 1e-3, (1, 400)).repeat(5, axis=0)
    plain = Contrast(tuple(range(5)), delta, moved)
    known = replace(plain, items=items, pairs=np.zeros((5, 2048)), effective_items=400)
    one, two = (need(infer([contrast])[0], 0.01) for contrast in (plain, known))
    assert two.smallest_effect > 3 * one.smallest_effect
    assert two.hidden
    assert not one.hidden
