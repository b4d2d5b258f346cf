"""The noise study on predictions with known variances."""

import numpy as np
import pytest

from benchmarks.noise import study
from benchmarks.noise.train import AVERAGED, LAST, Trained


def test_control_variate_has_the_minimal_variance():
    """The optimum is b = 1/4 for independent arms (b^2 + (1 - b)^2 / 3) and 1 for equal noise."""
    rng = np.random.default_rng(0)
    arm, base = rng.normal(size=(2, 4_000))
    expected = np.var(arm, ddof=1) + np.var(base, ddof=1) / 4
    assert study._control_variate(arm, base) == pytest.approx(expected, rel=0.02)
    assert study._control_variate(base + 0.1, base) == pytest.approx(0, abs=1e-9)


def test_variance_ratios_with_shared_noise():
    """Half of the variance of each model is shared, so unshared draws double that of the delta."""
    rng, seeds, rows = np.random.default_rng(1), 40, 3_000
    user, logit = rng.integers(0, 300, rows), rng.normal(size=rows)
    click = rng.random(rows) < 1 / (1 + np.exp(-logit))
    shared, own, other = rng.normal(1, 0.3, (3, seeds, 1))
    noise = rng.normal(size=rows)

    def p_click(quality):
        return 1 / (1 + np.exp(-(quality * logit + 2 * noise)))

    models = {"baseline": shared + other, "vector": shared + own}
    predictions = {
        arm: {share: p_click(quality) for share in (LAST, *AVERAGED)}
        for arm, quality in models.items()
    }
    methods = study._methods(Trained(click, user, user, predictions), "gauc")["vector"]
    assert methods[1].variance == pytest.approx(2, rel=0.5)
    assert [method.variance for method in methods[2:5]] == [1, 1, 1]
    assert [method.shift for method in methods[2:5]] == ["+0.00 ± 0.00"] * 3
    assert methods[5].variance == pytest.approx(1 / 5, rel=0.5)
