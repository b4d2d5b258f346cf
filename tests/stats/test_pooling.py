from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import bartlett, t

from ctrbench.stats import Contrast
from ctrbench.stats.contrast import interaction_variance, user_variance
from ctrbench.stats.pooling import (
    PRIOR_DEGREES,
    Seeds,
    _equal_variances,
    pooled_seeds,
    seed_correlation,
    variances,
)


def _many(kinds: list[str], scale: list[float], reference: str = "base") -> list[Contrast]:
    rng = np.random.default_rng(3)
    shared = rng.normal(0, 1, 5)
    deltas = [s * (shared + rng.normal(0, 1, 5)) for s in scale]
    return [
        Contrast(tuple(range(5)), delta, np.zeros((5, 9)), f"arm {n}", reference, kind)
        for n, (delta, kind) in enumerate(zip(deltas, kinds, strict=True))
    ]


def test_pooled_variance_is_the_mean_with_fewer_degrees_than_independent_ones():
    contrasts = _many(["vector"] * 6, [1.0] * 6)
    mean = np.mean([contrast.delta.var(ddof=1) for contrast in contrasts])
    for seeds in pooled_seeds(contrasts):
        assert seeds.pooled == 6
        assert seeds.variance == pytest.approx(mean)
        assert 4 < seeds.degrees < 24


@pytest.mark.parametrize(
    ("kinds", "scale"),
    [
        (["vector"] * 3, [1.0, 1.0, 100.0]),
        (["vector", "sim_score", ""], [1.0, 1.0, 1.0]),
        (["", "", ""], [1.0, 1.0, 1.0]),
    ],
)
def test_different_variances_and_kinds_are_not_pooled(kinds, scale):
    contrasts = _many(kinds, scale)
    for contrast, seeds in zip(contrasts, pooled_seeds(contrasts), strict=True):
        assert (seeds.variance, seeds.degrees) == (contrast.delta.var(ddof=1), 4)


def test_degrees_of_a_pooled_variance_by_simulation():
    """The spread of the mean variance over simulations gives its degrees of freedom."""
    rng, runs = np.random.default_rng(0), 4_000
    found, degrees = [], []
    for _ in range(runs):
        shared = rng.normal(size=5)
        contrasts = [
            Contrast(
                tuple(range(5)), rng.normal(size=5) - shared, np.zeros((5, 2)), f"{n}", "b", "k"
            )
            for n in range(4)
        ]
        seeds = pooled_seeds(contrasts)[0]
        if seeds.pooled == 4:
            found.append(seeds.variance)
            degrees.append(seeds.degrees)
    expected = 2 * np.mean(found) ** 2 / np.var(found)
    assert np.mean(degrees) == pytest.approx(expected, rel=0.2)


def test_correlation_of_common_references_and_common_arms():
    rng = np.random.default_rng(1)
    seeds, count = tuple(range(2_000)), 2_000
    base, sibling, one, two = rng.normal(size=(4, count))
    none = np.zeros((count, 1))
    contrasts = [
        Contrast(seeds, one - base, none, "one", "base"),
        Contrast(seeds, two - base, none, "two", "base"),
        Contrast(seeds, one - sibling, none, "one", "sibling"),
        Contrast(seeds[:-1], two[:-1] - base[:-1], none[:-1], "two", "base"),
    ]
    expected = [[1, 0.5, 0.5, 0], [0.5, 1, 0, 0], [0.5, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(seed_correlation(contrasts), expected, atol=0.05)


def test_the_interaction_is_subtracted_from_the_user_part():
    rng = np.random.default_rng(0)
    influence = rng.normal(0, 0.01, 50) + rng.normal(0, 0.005, (4, 50))
    influence -= influence.mean(axis=1, keepdims=True)
    contrast = Contrast((0, 1, 2, 3), np.array([0.0, 0.4, 0.8, 1.2]), influence)
    (found,) = variances([contrast])
    whole, mixed = user_variance(contrast), interaction_variance(contrast) / 4
    assert found.users == pytest.approx(whole - mixed)
    assert found.seeds == pytest.approx(np.var([0.0, 0.4, 0.8, 1.2], ddof=1) / 4)
    # the same squared error on a smaller number
    assert found.users**2 / found.user_degrees == pytest.approx(whole**2 / 49, rel=0.4)


def test_one_seed_has_only_user_variance():
    contrast = Contrast((0,), np.array([0.1]), np.array([[0.2, -0.1, -0.1]]))
    (found,) = variances([contrast])
    assert (found.seeds, found.seed_degrees) == (0, 0)
    assert found.users == user_variance(contrast)


def test_one_seed_uses_the_estimate_of_its_kind():
    contrasts = _many(["vector"] * 3, [1.0] * 3)
    lone = Contrast((0,), np.array([0.1]), np.zeros((1, 9)), "late", "base", "vector")
    *others, found = pooled_seeds([*contrasts, lone])
    assert found == others[0]
    (spread,) = variances([*contrasts, lone])[-1:]
    assert spread.seeds == pytest.approx(others[0].variance)  # of one seed
    assert pooled_seeds([lone])[0].degrees == 0


def _in_class(scale: list[float], seeds: int = 3, against: str = "baseline") -> list[Contrast]:
    rng = np.random.default_rng(8)
    return [
        Contrast(
            tuple(range(seeds)),
            s * rng.normal(size=seeds),
            np.zeros((seeds, 9)),
            f"arm {n}",
            "base",
            f"mode {n}",
            against=against,
        )
        for n, s in enumerate(scale)
    ]


def test_shrinkage_of_kinds_by_hand():
    contrasts = _in_class([1.0, 1.0, 3.0])
    own = [contrast.delta.var(ddof=1) for contrast in contrasts]
    for one, found in zip(own, pooled_seeds(contrasts), strict=True):
        assert found.degrees == 2 + PRIOR_DEGREES
        expected = (PRIOR_DEGREES * np.mean(own) + 2 * one) / (2 + PRIOR_DEGREES)
        assert found.variance == pytest.approx(expected)


def test_no_shrinkage_without_a_second_kind_or_a_class():
    for contrasts in (_in_class([1.0]), _in_class([1.0, 2.0], against="")):
        for contrast, found in zip(contrasts, pooled_seeds(contrasts), strict=True):
            assert (found.variance, found.degrees) == (contrast.delta.var(ddof=1), 2)
    baseline, sibling = _in_class([1.0])[0], _in_class([2.0], against="sibling")[0]
    assert [found.degrees for found in pooled_seeds([baseline, sibling])] == [2, 2]


def test_equal_arms_stay_exactly_equal():
    contrasts = _in_class([0.0, 1.0, 2.0])
    assert pooled_seeds(contrasts)[0] == Seeds(0.0, 2, 1)


def test_auxiliary_contrasts_only_inform_the_seed_variance():
    one, *beside = _in_class([1.0, 1.0, 3.0])
    (alone,), (informed,) = variances([one]), variances([one], beside)
    assert informed.seeds == pytest.approx(pooled_seeds([one, *beside])[0].variance / 3)
    assert informed.seed_degrees > alone.seed_degrees
    assert informed.users == alone.users


@pytest.mark.parametrize("noisy", [0, 1])
def test_false_alarms_of_one_mode_in_three_with_nine_times_the_variance(noisy):
    """Only seeds vary: three modes against siblings on three seeds, the most difficult class."""
    rng, runs, alarms = np.random.default_rng(9), 3_000, 0
    scale = [3.0 if n == noisy else 1.0 for n in range(3)]
    for _ in range(runs):
        deltas = rng.normal(size=(3, 3)) * np.array(scale)[:, None]
        own = deltas.var(axis=1, ddof=1)
        found = (PRIOR_DEGREES * own.mean() + 2 * own[0]) / (2 + PRIOR_DEGREES)
        half = t.ppf(0.975, 2 + PRIOR_DEGREES) * np.sqrt(found / 3)
        alarms += abs(deltas[0].mean()) > half
    assert 100 * alarms / runs < (8 if noisy == 0 else 3)


@pytest.mark.parametrize("scale", [[1.0, 1.5], [1.0, 6.0], [1.0, 2.0, 4.0, 3.0]])
@pytest.mark.parametrize("seeds", [3, 10])
def test_bartlett_s_test_is_scipy_s(scale, seeds):
    contrasts = _in_class(scale, seeds)
    expected = bartlett(*(contrast.delta for contrast in contrasts)).pvalue
    assert _equal_variances(contrasts) == (expected > 0.05)
    for shrink in (0.5, 0.2, 0.1, 0.05):  # near the level, too
        one = [replace(c, delta=c.delta * (shrink if n else 1)) for n, c in enumerate(contrasts)]
        assert _equal_variances(one) == (bartlett(*(c.delta for c in one)).pvalue > 0.05)


def test_correlation_against_a_loop_over_pairs():
    rng = np.random.default_rng(10)
    contrasts = [
        Contrast(tuple(range(seeds)), rng.normal(size=seeds), np.zeros((seeds, 2)), arm, reference)
        for seeds in (4, 3)
        for arm, reference in (("a", "b"), ("c", "b"), ("a", "h"), ("c", "h"), ("d", "b"))
    ]
    found, sums = seed_correlation(contrasts), {"reference": [0.0, 0.0], "arm": [0.0, 0.0]}
    which = {}
    for i, one in enumerate(contrasts):
        for j, other in enumerate(contrasts[:i]):
            if one.seeds == other.seeds and one.reference == other.reference:
                which[i, j] = "reference"
            elif one.seeds == other.seeds and one.arm == other.arm:
                which[i, j] = "arm"
            else:
                assert found[i, j] == found[j, i] == 0
                continue
            covariance = np.cov(one.delta, other.delta)
            sums[which[i, j]][0] += covariance[0, 1]
            sums[which[i, j]][1] += np.sqrt(covariance[0, 0] * covariance[1, 1])
    for (i, j), name in which.items():
        expected = np.clip(sums[name][0] / sums[name][1], 0, 1)
        assert found[i, j] == found[j, i] == pytest.approx(expected)
