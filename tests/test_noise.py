"""What the noise study computes, on predictions whose answer is known."""

import numpy as np
import pytest

from benchmarks.noise import study
from benchmarks.noise.train import AVERAGED, LAST, Trained


def test_control_variate_by_hand():
    """Independent arms: b^2 + (1 - b)^2 / 3 is least at b = 1/4; shared noise: b = 1 is best."""
    rng = np.random.default_rng(0)
    arm, base = rng.normal(size=(2, 4_000))
    expected = np.var(arm, ddof=1) + np.var(base, ddof=1) / 4
    assert study._control_variate(arm, base) == pytest.approx(expected, rel=0.02)
    assert study._control_variate(base + 0.1, base) == pytest.approx(0, abs=1e-9)


def test_shared_noise_is_worth_what_it_is():
    """Half the variance of each model is common to both: unshared draws double the variance."""
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
    ways = study._ways(Trained(click, user, user, predictions), "gauc")["vector"]
    assert ways[1].variance == pytest.approx(2, rel=0.5)
    assert [way.variance for way in ways[2:5]] == [1, 1, 1]
    assert [way.shift for way in ways[2:5]] == ["+0.00 ± 0.00"] * 3
    assert ways[5].variance == pytest.approx(1 / 5, rel=0.5)
