import numpy as np
import pytest
from scipy.stats import t

from ctrbench.stats import Contrast, share_of_attainable


def test_limits_are_those_of_the_t_test_of_the_ratio():
    """Without user variance the interval follows from a quadratic equation and from the t test."""
    rng = np.random.default_rng(0)
    top, bottom = rng.normal(0.3, 0.2, 8), rng.normal(1.0, 0.3, 8)
    share = share_of_attainable(_contrast(top), _contrast(bottom))
    assert share is not None
    for ratio, inside in (
        (share.low + 1e-6, True),
        (share.low - 1e-6, False),
        (share.low - 0.1, False),
        (share.high - 1e-6, True),
        (share.high + 1e-6, False),
    ):
        rest = top - ratio * bottom
        statistic = abs(rest.mean()) / (rest.std(ddof=1) / np.sqrt(8))
        assert (statistic <= t.ppf(0.975, 7)) == inside
    (tt, tb), (_, bb) = np.cov(top, bottom) / 8
    q = t.ppf(0.975, 7) ** 2
    mean_top, mean_bottom = top.mean(), bottom.mean()
    roots = np.roots(
        [mean_bottom**2 - q * bb, -2 * (mean_top * mean_bottom - q * tb), mean_top**2 - q * tt]
    )
    assert sorted(roots) == pytest.approx([share.low, share.high])


def _contrast(delta, of_users=None, users: int = 1_000) -> Contrast:
    influence = np.zeros((len(delta), users)) if of_users is None else of_users
    return Contrast(tuple(range(len(delta))), np.array(delta), influence)


def test_share_is_gain_over_attainable_gain():
    """Without user variance and with a constant ceiling, the interval is that of the mean."""
    share = share_of_attainable(_contrast([0.02, 0.01, 0.03]), _contrast([0.1, 0.1, 0.1]))
    assert share is not None
    assert share.value == pytest.approx(0.2)
    half_width = t.ppf(0.975, 2) * 0.01 / np.sqrt(3) / 0.1
    assert (share.low, share.high) == pytest.approx((0.2 - half_width, 0.2 + half_width))


@pytest.mark.parametrize("ceiling", [[0.1, -0.1, 0.05], [-0.1, -0.1, -0.1]])
def test_no_share_without_a_significant_gain(ceiling):
    assert share_of_attainable(_contrast([0.1, 0.1, 0.2]), _contrast(ceiling)) is None


def test_no_share_with_one_seed():
    assert share_of_attainable(_contrast([0.1]), _contrast([0.2])) is None


def test_interval_has_95_percent_coverage():
    """Each run draws users, seeds and shared baseline noise; the true share is 0.3."""
    rng, wrong, users, seeds, runs = np.random.default_rng(1), 0, 150, 5, 1_000
    for _ in range(runs):
        taste = rng.normal(1, 1, users)
        base = 0.3 * rng.normal(size=(seeds, 1)) + rng.normal(size=(seeds, users))
        own = 0.3 * rng.normal(size=(seeds, 1)) + rng.normal(size=(seeds, users))
        gains = [0.3 * taste + own - base, taste + rng.normal(0, 0.5, users) - base]
        model, ceiling = (
            _contrast(gain.mean(axis=1), (gain - gain.mean(axis=1, keepdims=True)) / users)
            for gain in gains
        )
        share = share_of_attainable(model, ceiling)
        wrong += share is not None and not share.low <= 0.3 <= share.high
    assert wrong / runs == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("ratio", [0.5, 0.0])
def test_a_share_from_which_one_user_differs_has_no_interval(ratio):
    influence = np.random.default_rng(0).normal(0, 1e-4, (3, 200))
    delta = np.array([0.05, 0.051, 0.052])
    moved = ratio * influence
    moved[:, 3] += 1e-4
    share = share_of_attainable(_contrast(ratio * delta, moved), _contrast(delta, influence))
    assert share is not None
    assert share.value == pytest.approx(ratio)
    assert np.isnan([share.low, share.high]).all()
    assert not share.defined
