"""The probability of being better agrees with intervals, simulation and the t distribution."""

import numpy as np
import pytest
from scipy.stats import t as student

from ctrbench.reports._long import inferred
from ctrbench.stats import compare_predictions
from ctrbench.stats.contrast import Variance
from ctrbench.stats.family import Inference
from ctrbench.stats.student import half_width, p_value


def _inference(estimate: float, spread: Variance) -> Inference:
    half, p = half_width(0.05, spread), p_value(estimate, spread)
    return Inference((0,), estimate, spread, estimate - half, estimate + half, p, p, p, p, 0.0)


@pytest.mark.parametrize("spread", [Variance(1.0, 9, 0.0, 0), Variance(1.0, 30, 2.0, 4)])
def test_an_interval_that_ends_at_zero_has_a_probability_of_97_5_percent(spread):
    half = half_width(0.05, spread)
    assert _inference(half, spread).probability_above == pytest.approx(0.975, abs=1e-6)
    assert _inference(-half, spread).probability_above == pytest.approx(0.025, abs=1e-6)
    assert _inference(0.0, spread).probability_above == 0.5


def test_without_seed_variance_it_is_that_of_student():
    found = _inference(0.7, Variance(1.0, 9, 0.0, 0))
    assert found.probability_above == pytest.approx(student.cdf(0.7, 9), abs=1e-9)
    assert found.probability_above + found.reversed().probability_above == pytest.approx(1)


def test_of_two_models_it_is_the_share_of_a_bootstrap_of_users():
    draw = np.random.default_rng(0)
    user = np.repeat(np.arange(300), 8)
    logit = draw.normal(size=len(user))
    click = (draw.random(len(user)) < 1 / (1 + np.exp(-logit))).astype(int)
    one, two = (logit + draw.normal(0, noise, len(user)) for noise in (1.0, 1.08))
    found = compare_predictions(click, user, one, two, "gauc_users")
    by_user = []
    for u in range(300):
        own = user == u
        yes, no = own & (click == 1), own & (click == 0)
        if yes.any() and no.any():
            values = [(p[yes][:, None] > p[no]).mean() for p in (one, two)]
            by_user.append(values[0] - values[1])
    drawn = draw.choice(by_user, (4_000, len(by_user))).mean(axis=1)
    assert found.probability_above == pytest.approx(np.mean(drawn > 0), abs=0.02)
    assert 0.6 < found.probability_above < 0.99


def test_where_less_is_better_it_is_that_of_a_difference_below_zero():
    found = _inference(0.7, Variance(1.0, 9, 0.0, 0))
    better = {name: inferred(found, name)["probability_better"] for name in ("gauc", "log_loss")}
    assert better == {
        "gauc": found.probability_above,
        "log_loss": pytest.approx(1 - found.probability_above),
    }
    assert inferred(None, "gauc")["probability_better"] is None
