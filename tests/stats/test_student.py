import numpy as np
import pytest
from scipy.stats import norm, t

from ctrbench.stats import Variance
from ctrbench.stats.student import p_value, reach


def test_one_part_alone_is_student_s_t():
    assert reach(0.05, Variance(1.0, 40, 0.0, 0)) == pytest.approx(t.ppf(0.975, 40))
    assert reach(0.01, Variance(0.0, 40, 4.0, 2)) == pytest.approx(2 * t.ppf(0.995, 2))
    assert p_value(-1.5, Variance(1.0, 40, 0.0, 0)) == pytest.approx(2 * t.sf(1.5, 40))


@pytest.mark.parametrize("level", [0.05, 0.01, 1e-6])
@pytest.mark.parametrize("seed_degrees", [1, 2, 4, 13.7])
def test_reach_is_where_the_p_value_is_the_level(seed_degrees, level):
    spread = Variance(0.3, 55, 0.7, seed_degrees)
    assert p_value(reach(level, spread), spread) == pytest.approx(level)


def test_nothing_varies():
    assert p_value(0.1, Variance(0.0, 9, 0.0, 2)) == 0
    assert reach(0.05, Variance(0.0, 9, 0.0, 2)) == 0
    assert np.isnan(reach(0.05, Variance(np.nan, 1, 0.0, 0)))


def test_integral_against_draws():
    """The seeds' variance drawn from its distribution, Student's t given each draw."""
    users, known, seeds = 0.4, 4, 0.6
    rng = np.random.default_rng(0)
    share = users * 0.75 / (users * 0.75 + seeds)
    degrees = np.where(rng.random(400_000) < share, known + 2, known)
    drawn = seeds * known / rng.chisquare(degrees)
    expected = np.mean(2 * norm.sf(2.2 / np.sqrt(users + drawn)))
    assert p_value(2.2, Variance(users, 1e9, seeds, known)) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("of_seeds", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(("seeds", "within"), [(3, 0.012), (5, 0.008), (10, 0.007)])
def test_five_in_a_hundred_whatever_the_seeds_share(seeds, within, of_seeds):
    rng, runs = np.random.default_rng(int(10 * of_seeds)), 4_000
    estimate = rng.normal(size=runs)
    known = seeds - 1
    found = of_seeds * rng.chisquare(known, runs) / known
    alarms = [
        p_value(one, Variance(1 - of_seeds, 200, spread, known)) < 0.05
        for one, spread in zip(estimate, found, strict=True)
    ]
    assert np.mean(alarms) == pytest.approx(0.05, abs=within + 0.002)
