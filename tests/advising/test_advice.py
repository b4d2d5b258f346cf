from dataclasses import replace

import numpy as np
import pytest

from ctrbench.advising.advice import forecast
from ctrbench.advising.prediction import (
    LARGER,
    Fit,
    Reliability,
    factors,
    packaged_fit,
    size_shares,
)
from ctrbench.advising.traits import Traits
from ctrbench.benchmark_file import read_benchmark
from ctrbench.terminal.advice import show
from ctrbench.terminal.output import captured

TRAITS = Traits(
    impressions=300_000,
    items=3000,
    head=0.4,
    cold=0.1,
    clicks=12.0,
    ctr=0.2,
    coverage=1.0,
    sim_auc=0.6,
    agreement=0.1,
    baseline=0.62,
    similarity_pp=4.0,
    bilinear_pp=3.0,
    codes_pp={10: 2.0, 100: 2.0, 1000: 1.0},
)
FIT = Fit(
    modes=("vector", "cluster_id", "sim_score", "sim_tier"),
    weights=np.eye(4, 8)[[1, 2, 0, 0]] * [[1], [1], [1], [0.99]],
    floor_pp=3.0,  # with a largest gain of 4, errors have a scale of 5
    covariance=0.01 * np.eye(4),
    quantile=1.3,
    ranges={"impressions": (60_000, 300_000), "clicks": (12, 15)},
    reliability=(
        Reliability(
            *("worlds held out", 9, 30, 0.6, 1.1, 0.9, 0.8, 0.9, 0.8, 1.0, 2.0),
            *(9, 1.0, 0.95, 54, 0.82),
        ),
    ),
)


@pytest.fixture
def straight(monkeypatch):
    """Gains of stand-ins are not bent, so that predictions are those of the traits."""
    monkeypatch.setattr("ctrbench.advising.prediction.BEND_PP", 1e9)


def bent(gain):
    return 3 * np.log(1 + gain / 3)


def test_factors_are_gains_and_their_products_with_the_size():
    found = factors(replace(TRAITS, impressions=30_000), 10**2.5)
    own = [bent(one) for one in (4, 3, 1.5, 2)]  # 1.5 codes: halfway in logarithms; the best is 2
    np.testing.assert_allclose(found, [*own, *np.negative(own)])
    assert factors(replace(TRAITS, similarity_pp=-4.0), 10)[0] == pytest.approx(-bent(4))
    assert bent(0.01) == pytest.approx(0.01, rel=0.01)  # small gains are hardly changed


def test_order_intervals_and_what_is_not_predictable(straight):
    found = forecast("shop", "v7", 48, TRAITS, FIT)
    assert [one.mode for one in found.modes] == ["sim_score", "sim_tier", "vector", "cluster_id"]
    first, second, third, fourth = found.modes
    assert (first.gain_pp, first.low_pp, first.high_pp) == pytest.approx((4, 4 - 0.65, 4 + 0.65))
    half = 1.3 * 5 * 0.02**0.5  # of a difference
    assert (third.behind_low_pp, third.behind_high_pp) == pytest.approx((-1 - half, -1 + half))
    assert [one.is_behind for one in found.modes] == [False, False, True, True]
    assert [one.mode for one in found.leaders] == ["sim_score", "sim_tier"]
    assert second.behind_pp == pytest.approx(-0.04)
    assert fourth.gain_pp == pytest.approx(2)


def test_useful_sizes_reach_most_of_the_largest_gain(straight):
    found = forecast("shop", "v7", 48, TRAITS, FIT)
    assert {one.size: one.gain_pp for one in found.sizes} == pytest.approx({10: 2, 100: 2, 1000: 1})
    assert found.useful_sizes == (10, 100)
    weak = replace(TRAITS, codes_pp={10: 0.2, 100: 0.1})  # the interval includes zero
    assert forecast("shop", "v7", 48, weak, FIT).useful_sizes == ()


def test_gains_of_sizes_follow_the_curve_of_the_stand_in(straight):
    fit = replace(FIT, size_power=2.0)
    sizes = forecast("shop", "v7", 48, replace(TRAITS, codes_pp={10: 1.0, 100: 2.0, 500: -1}), fit)
    assert {one.size: one.gain_pp for one in sizes.sizes} == pytest.approx(
        {10: 0.5, 100: 2, 500: 0}
    )
    assert size_shares(TRAITS, [10**2.5, 1000], 2.0) == pytest.approx([0.75**2, 0.5**2])
    without = replace(TRAITS, codes_pp={10: -0.5, 100: -0.2})
    (gain,) = set(fit.size_gains(without).values())
    assert gain == pytest.approx(-0.2)  # no size is better


def test_a_log_beyond_the_worlds_of_the_fit_is_named_and_its_size_is_limited(straight):
    found = forecast("shop", "v7", 48, replace(TRAITS, impressions=10**7, clicks=44.0), FIT)
    assert [(one.trait, one.value, one.low, one.high) for one in found.outside] == [
        ("training impressions", 10**7, 60_000, 300_000),
        ("clicks per history", 44, 12, 15),
    ]
    usual = forecast("shop", "v7", 48, TRAITS, FIT)
    assert [one.gain_pp for one in found.modes] == [one.gain_pp for one in usual.modes]
    assert found.traits.impressions == 10**7
    assert not usual.outside


def test_no_order_is_predicted_for_a_log_larger_than_all_worlds(straight):
    row = replace(FIT.reliability[0], what=LARGER, worlds=2, pairs=8, right=0.625)
    fit = replace(FIT, reliability=(row, *FIT.reliability))
    found = forecast("shop", "v7", 48, replace(TRAITS, impressions=300_001), fit)
    assert (found.is_larger, found.leaders) == (True, found.modes)
    text = "\n".join(shown(found))
    assert text.startswith("v7 is predicted to gain +4.0 pp")
    assert "the order of modes is not predictable." in text.splitlines()[0]
    line = "  Of 8 orders predicted for 2 worlds with 10 million impressions, 62% were right; "
    assert f"{line}82% of the gains were within their intervals." in text
    smaller = forecast("shop", "v7", 48, replace(TRAITS, impressions=100), fit)
    assert not smaller.is_larger


def test_the_matrix_has_the_leaders_and_the_first_mode_behind(straight, tmp_path):
    file = tmp_path / "shop.yaml"
    file.write_text(forecast("shop", "v7", 48, TRAITS, FIT).matrix, encoding="utf-8")
    found = read_benchmark(file)
    assert (found.dataset, found.versions) == ("shop", ("v7",))
    assert [*found.modes] == ["sim_score", "sim_tier", "vector"]
    assert found.training[0].learning_rate == 0.004


def test_the_matrix_varies_the_codebook_size_if_cluster_id_leads(straight):
    only = replace(TRAITS, similarity_pp=0.0, bilinear_pp=0.0)
    assert '{"codebook_size": [10, 100]}' in forecast("shop", "v7", 48, only, FIT).matrix
    without = replace(only, codes_pp={})  # too few items for any codebook
    assert "cluster_id" not in forecast("shop", "v7", 48, without, FIT).matrix


def shown(found):
    lines = []
    with captured(lambda line: lines.append(str(line))):
        show(found)
    return lines


def answer(traits):
    return shown(forecast("shop", "v7", 48, traits, FIT))[0]


def test_answers(straight):
    begin = "v7 is predicted to gain +4.0 pp [+3.3, +4.6] of GAUC over shuffled vectors with "
    end = "is not predictable."
    assert answer(TRAITS) == f"{begin}sim_score; the order of sim_score and sim_tier {end}"
    assert answer(replace(TRAITS, bilinear_pp=4.0)) == (
        f"{begin}vector; the order of vector, sim_score and sim_tier {end}"
    )
    assert answer(replace(TRAITS, bilinear_pp=9.0)) == (
        "v7 is predicted to gain +9.0 pp [+7.8, +10.2] of GAUC over shuffled vectors with vector, "
        "more than with any other mode."
    )
    assert answer(replace(TRAITS, similarity_pp=0.1, bilinear_pp=0.1, codes_pp={10: 0.1})) == (
        "A gain of v7 cannot be predicted: the largest is +0.1 pp [-0.3, +0.5] of GAUC over "
        "shuffled vectors, with vector."
    )
    assert answer(replace(TRAITS, bilinear_pp=4.0, codes_pp={10: 4.0})) == (
        f"{begin}vector; the order of modes {end}"
    )


def test_the_gain_of_another_mode_than_the_first_can_be_certain(straight):
    covariance = np.diag([0.01, 0.01, 2.0, 0.01])
    uncertain = replace(FIT, covariance=covariance, weights=FIT.weights * [[1], [1], [1.1], [0.9]])
    found = forecast("shop", "v7", 48, TRAITS, uncertain)
    assert found.modes[0].mode == "sim_score"
    assert found.modes[0].low_pp < 0 < found.modes[1].low_pp
    second = found.modes[1]
    gain = f"{second.gain_pp:+.1f} pp [{second.low_pp:+.1f}, {second.high_pp:+.1f}]"
    assert shown(found)[0].startswith(f"v7 is predicted to gain {gain} of GAUC over shuffled")


def test_users_of_a_small_log_widen_the_intervals(straight):
    plain = forecast("shop", "v7", 48, TRAITS, FIT)
    # cosines 0.5 pp, the bilinear score 0, 10, 100 and 1000 codes 0.4 pp
    small = replace(TRAITS, covariance=tuple(map(tuple, np.diag([0.25, 0, 0.16, 0.16, 0.16]))))
    found = {one.mode: one for one in forecast("shop", "v7", 48, small, FIT).modes}
    for one in plain.modes:
        deviation = {"sim_score": 0.5, "sim_tier": 0.99 * 0.5, "vector": 0, "cluster_id": 0.4}
        half = 1.3 * np.hypot(0.5, deviation[one.mode])  # of errors of the fit, and of users
        assert found[one.mode].high_pp == pytest.approx(one.gain_pp + half, rel=1e-3)
    # both modes depend on the cosines alone, so that users hardly change their order
    assert found["sim_tier"].behind_high_pp == pytest.approx(plain.modes[1].behind_high_pp, rel=0.1)


def test_modes_with_codes_are_not_predicted_without_codebooks(straight):
    few = replace(TRAITS, codes_pp={}, similarity_pp=-1.0, bilinear_pp=-1.0)
    found = forecast("shop", "v7", 48, few, FIT)
    assert [one.mode for one in found.modes] == ["sim_tier", "vector", "sim_score"]
    assert found.modes[0].behind_pp == 0
    lines = shown(found)
    assert "  Modes with codes are not predicted: v7 has too few distinct vectors." in lines


def test_the_packaged_fit_predicts_no_gain_for_vectors_that_say_nothing():
    nothing = replace(TRAITS, similarity_pp=0.0, bilinear_pp=0.0, codes_pp={10: 0.0})
    found = forecast("shop", "v7", 48, nothing, packaged_fit())
    assert all(one.gain_pp == 0 and one.low_pp < 0 < one.high_pp for one in found.modes)
