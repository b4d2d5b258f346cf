import numpy as np
import pytest

from ctrbench.metrics import gauc
from data_synth.ceilings import without_style
from data_synth.clicks import make_log, sigmoid
from data_synth.world import WorldConfig, make_world


@pytest.mark.parametrize("kind", ["null", "redundant", "spurious"])
def test_probabilities_are_equal_if_style_is_known_or_has_no_effect(kind):
    log = make_log(make_world(WorldConfig(kind=kind)))
    np.testing.assert_allclose(log.p_without_style, log.p_true, rtol=1e-5)


@pytest.mark.parametrize(("category", "rest"), [(0, -1.0), (5, 0.3), (11, -3.0)])
def test_one_impression_equals_the_mean_over_drawn_styles(taste, category, rest):
    """Draw 100,000 items of the category from the stated distribution, for the same user."""
    rng = np.random.default_rng(category)
    liked = taste.users.taste[category]
    centre = taste.centres[rng.choice(12, 100_000, p=taste.style_share[category])]
    noise = rng.normal(size=centre.shape)
    direction = noise - (noise * centre).sum(axis=1, keepdims=True) * centre
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    style = np.cos(np.deg2rad(27)) * centre + np.sin(np.deg2rad(27)) * direction
    p = sigmoid(rest + style @ liked)
    one, logit = np.array([0]), np.array([rest], np.float32)
    integrated = without_style(taste, liked[None], one, np.array([category]), logit)
    assert integrated[0] == pytest.approx(p.mean(), abs=4 * p.std() / np.sqrt(len(p)))


@pytest.mark.parametrize("alignment", [0.0, 0.7])
def test_integrated_probability_is_calibrated_in_complement(alignment):
    config = WorldConfig(kind="complement", alignment=alignment, strength=1.0)
    _require_calibrated(make_log(make_world(config)))


def test_integrated_probability_is_calibrated(taste_log):
    _require_calibrated(taste_log)


def _require_calibrated(log):
    p = log.p_without_style
    for part in np.array_split(np.argsort(p), 5):
        error = np.sqrt((p[part] * (1 - p[part])).sum()) / len(part)
        assert abs(log.click[part].mean() - p[part].mean()) < 5 * error


def test_default_strength_has_an_attainable_gain_of_two_points():
    gains = []
    for seed in range(4):
        log = make_log(make_world(WorldConfig(seed=seed)))
        test = log.take(slice(round(0.8 * len(log)), None))
        with_style = gauc(test.click, test.p_true, test.user)
        gains.append(100 * (with_style - gauc(test.click, test.p_without_style, test.user)))
    assert np.mean(gains) == pytest.approx(2.0, abs=0.5)
