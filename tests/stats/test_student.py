import numpy as np
import pytest
from scipy.stats import chi2, norm, t

from ctrbench.stats import Variance
from ctrbench.stats.student import half_width, p_value


def test_one_part_alone_is_student_s_t():
    assert half_width(0.05, Variance(1.0, 40, 0.0, 0)) == pytest.approx(t.ppf(0.975, 40))
    assert half_width(0.01, Variance(0.0, 40, 4.0, 2)) == pytest.approx(2 * t.ppf(0.995, 2))
    assert p_value(-1.5, Variance(1.0, 40, 0.0, 0)) == pytest.approx(2 * t.sf(1.5, 40))


@pytest.mark.parametrize("level", [0.05, 0.01, 1e-6])
@pytest.mark.parametrize("seed_degrees", [1, 2, 4, 13.7])
def test_half_width_matches_the_p_value(seed_degrees, level):
    spread = Variance(0.3, 55, 0.7, seed_degrees)
    assert p_value(half_width(level, spread), spread) == pytest.approx(level)


def test_no_variance():
    assert p_value(0.1, Variance(0.0, 9, 0.0, 2)) == 0
    assert half_width(0.05, Variance(0.0, 9, 0.0, 2)) == 0
    assert np.isnan(half_width(0.05, Variance(np.nan, 1, 0.0, 0)))


def test_integral_against_draws():
    """Return tail probabilities by simulation: draw the seed variance, then apply Student's t."""
    users, known, seeds = 0.4, 4, 0.6
    rng = np.random.default_rng(0)
    level = p_value(2.2, Variance(users, 1e9, seeds, known))
    weight = users * 0.75 * min(1, level / 0.05) ** (1 / 3)
    share = weight / (weight + seeds)
    degrees = np.where(rng.random(400_000) < share, known + 2, known)
    drawn = seeds * known / rng.chisquare(degrees)
    expected = np.mean(2 * norm.sf(2.2 / np.sqrt(users + drawn)))
    assert level == pytest.approx(expected, rel=0.01)


def _false_alarms(half_width, of_seeds: float, known: int) -> float:
    """Return exact false alarms in percent for a normal estimate and `known` seed degrees."""
    found = of_seeds * chi2.ppf((np.arange(150) + 0.5) / 150, known) / known
    spreads = [Variance(1 - of_seeds, 1e9, of_this, known) for of_this in found]
    return 100 * float(np.mean([2 * norm.sf(half_width(spread)) for spread in spreads]))


@pytest.mark.parametrize("of_seeds", [0.05, 0.2, 0.5, 0.8, 0.9, 0.97])
@pytest.mark.parametrize("known", [2, 4, 9])
def test_false_alarms_are_5_percent_for_any_seed_share(known, of_seeds):
    within = {2: (4.1, 5.7), 4: (4.7, 5.3), 9: (4.9, 5.1)}[known]
    assert within[0] < _false_alarms(lambda s: half_width(0.05, s), of_seeds, known) < within[1]


@pytest.mark.parametrize("level", [0.02, 0.0087, 0.003])
@pytest.mark.parametrize("known", [1, 2, 3, 4, 9])
def test_false_alarms_at_levels_of_a_family(known, level):
    found = [
        _false_alarms(lambda s: half_width(level, s), share, known)
        for share in (0.2, 0.5, 0.8, 0.9)
    ]
    assert max(found) < 1.15 * 100 * level
    assert max(found) > (0.95 if known > 1 else 0.3) * 100 * level  # and not conservative


def test_satterthwaite_s_degrees_have_more_false_alarms():
    def half_width_of_t(spread: Variance) -> float:
        return t.ppf(0.975, spread.degrees) * spread.standard_error

    assert 7.5 < _false_alarms(half_width_of_t, 0.9, 2) < 8


def test_two_seeds_are_conservative():
    assert all(
        _false_alarms(lambda s: half_width(0.05, s), share, 1) < 5 for share in (0.1, 0.5, 0.9)
    )
