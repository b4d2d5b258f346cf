import numpy as np
import pytest
from scipy.stats import t

from ctrbench.stats import share_of_attainable
from ctrbench.stats.fieller import fieller


def test_share_is_gain_over_attainable_gain():
    values = {0: 0.62, 1: 0.61, 2: 0.63, 7: 0.9}
    baseline = {0: 0.60, 1: 0.60, 2: 0.60}
    share = share_of_attainable(values, baseline, ceiling=0.70)
    assert share is not None
    assert share.value == pytest.approx(0.2)
    assert share.seeds == (0, 1, 2)
    # the attainable gain is the same for every seed, so the interval is that of the mean / 0.1
    reach = t.ppf(0.975, 2) * 0.01 / np.sqrt(3) / 0.1
    assert (share.low, share.high) == pytest.approx((0.2 - reach, 0.2 + reach))


def test_limits_are_where_the_t_test_of_the_ratio_turns():
    rng = np.random.default_rng(0)
    top, bottom = rng.normal(0.3, 0.2, 8), rng.normal(1.0, 0.3, 8)
    share = fieller(top, bottom, tuple(range(8)))
    assert share is not None
    for ratio, inside in (
        *((share.low + step, True) for step in (1e-6, 0.1)),
        *((share.low - step, False) for step in (1e-6, 0.1)),
        (share.high - 1e-6, True),
        (share.high + 1e-6, False),
    ):
        rest = top - ratio * bottom
        statistic = abs(rest.mean()) / (rest.std(ddof=1) / np.sqrt(8))
        assert (statistic <= t.ppf(0.975, 7)) == inside


@pytest.mark.parametrize(
    "bottom",
    [np.array([1.0, -1.0, 0.5, -0.4]), np.array([-1.0, -1.1, -0.9, -1.0])],
)
def test_nothing_is_said_of_a_gain_not_above_zero(bottom):
    assert fieller(np.ones(4), bottom, (0, 1, 2, 3)) is None


def test_one_seed_says_nothing():
    assert share_of_attainable({0: 0.6}, {0: 0.5}, 0.7) is None


def test_nineteen_of_twenty_intervals_hold_the_truth():
    rng, held = np.random.default_rng(1), 0
    for _ in range(2_000):
        shared = rng.normal(0, 0.05, 5)
        top, bottom = 0.3 + shared + rng.normal(0, 0.1, 5), 1 + shared + rng.normal(0, 0.1, 5)
        share = fieller(top, bottom, tuple(range(5)))
        held += share is not None and share.low <= 0.3 <= share.high
    assert held / 2_000 == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 2_000))
