import numpy as np
import pytest
from scipy.stats import t, ttest_1samp

from ctrbench.stats import Contrast, infer


def _contrast(delta: list[float], users: np.ndarray, reference: str = "base") -> Contrast:
    influence = np.tile(users - users.mean(), (len(delta), 1))
    return Contrast(tuple(range(len(delta))), np.array(delta), influence, "arm", reference)


def test_seeds_alone_give_the_t_test():
    delta = [0.1, 0.3, 0.2, 0.6]
    (found,) = infer([_contrast(delta, np.zeros(500))])
    expected = ttest_1samp(delta, 0)
    assert found.p_value == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p_value == found.p_adjusted == found.p_holm == found.p_bh


def test_users_alone_give_their_t_interval():
    users = np.random.default_rng(0).normal(0, 0.01, 40)
    (found,) = infer([_contrast([0.05, 0.05, 0.05], users)])
    centred = users - users.mean()
    error = np.sqrt(40 / 39 * (centred**2).sum())
    degrees = np.pi / 2 * np.abs(centred).sum() ** 2 / (centred**2).sum() - 1
    assert found.high - found.estimate == pytest.approx(t.ppf(0.975, degrees) * error)
    assert found.variance.seeds == pytest.approx(0, abs=1e-20)


def test_reversed_arms_flip_every_sign():
    rng = np.random.default_rng(1)
    users = rng.normal(0, 0.01, 40)
    one, other = (
        infer([_contrast(list(sign * np.array([0.1, 0.3, 0.2])), sign * users)])[0]
        for sign in (1, -1)
    )
    assert (one.estimate, one.low, one.high) == (-other.estimate, -other.high, -other.low)
    assert (one.verdict(0.0), other.verdict(0.0)) == ("better", "worse") or one.low < 0


def test_equal_arms_have_a_difference_of_exactly_zero():
    (found,) = infer([_contrast([0.0, 0.0], np.zeros(10))])
    assert (found.estimate, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert found.verdict(0.0005) == "no worse"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 0.3, "better"),
        (-0.3, -0.1, "worse"),
        (-0.01, 0.2, "no worse"),
        (-0.1, 0.2, "inconclusive"),
    ],
)
def test_verdicts(low, high, verdict):
    middle, half_width = (low + high) / 2, (high - low) / 2
    spread = half_width / t.ppf(0.975, 1)  # two seeds this far apart have this interval
    (found,) = infer([_contrast([middle - spread, middle + spread], np.zeros(10))])
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.verdict(margin=0.05) == verdict


def test_repeated_comparisons_do_not_widen_intervals():
    users = np.random.default_rng(2).normal(0, 0.01, 2_000)
    one = infer([_contrast([0.2, 0.2], users)])[0]
    many = infer([_contrast([0.2, 0.2], users) for _ in range(5)])[0]
    assert many.high == pytest.approx(one.high, rel=0.02)


def test_independent_comparisons_match_sidak():
    rng = np.random.default_rng(3)
    contrasts = [
        _contrast([0.0, 0.0], rng.normal(0, 0.01, 20_000), f"reference {n}") for n in range(8)
    ]
    found = infer(contrasts)[0]
    expected = t.ppf(1 - (1 - 0.95 ** (1 / 8)) / 2, 19_999) * found.standard_error
    assert found.high == pytest.approx(expected, rel=0.02)
    assert found.p_adjusted > found.p_value or found.p_value == 1


def test_smallest_effect_is_detected_with_80_percent_power():
    """In a simulation, an effect of this size has an interval above zero in 80 % of the runs."""
    rng, users, seen = np.random.default_rng(4), 60, 0
    smallest = infer([_contrast([0.0, 0.0], rng.normal(0, 1 / users, users))])[0].smallest_effect
    for _ in range(1_000):
        each = rng.normal(smallest, 1, users)
        influence = np.tile((each - each.mean()) / users, (2, 1))
        found = infer([Contrast((0, 1), np.full(2, each.mean()), influence)])[0]
        seen += found.low > 0
    assert seen / 1_000 == pytest.approx(0.8, abs=0.12)


@pytest.mark.parametrize(("seed_sd", "mixed_sd"), [(0.0, 0.0), (0.3, 0.0), (0.1, 1.0), (0.0, 2.0)])
def test_intervals_have_95_percent_coverage(seed_sd, mixed_sd):
    """Each run draws users, seeds and their interaction; the true difference is 0."""
    rng, held, users, seeds, runs = np.random.default_rng(5), 0, 80, 5, 1_500
    for _ in range(runs):
        each = rng.normal(0, 1, users) + rng.normal(0, mixed_sd, (seeds, users))
        each += rng.normal(0, seed_sd, (seeds, 1))
        influence = (each - each.mean(axis=1, keepdims=True)) / users
        found = infer([Contrast(tuple(range(seeds)), each.mean(axis=1), influence)])[0]
        held += found.low <= 0 <= found.high
    assert held / runs == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / runs))
