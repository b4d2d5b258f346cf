import numpy as np
import pytest

from data_synth.ceilings import Attainable, attainable, without_style
from data_synth.clicks import make_log
from data_synth.world import WorldConfig, make_world


def test_nothing_to_integrate_out_in_null(null, null_log):
    np.testing.assert_allclose(without_style(null, null_log), null_log.p_true)


def test_one_impression_by_a_loop_over_its_category(taste, taste_log):
    row = 42
    user, items = taste_log.user[row], taste.items
    category = items.category[taste_log.item[row]]
    every = [
        1 / (1 + np.exp(-taste_log.rest[row] - taste.users.taste[user] @ style))
        for style, own in zip(items.style, items.category, strict=True)
        if own == category
    ]
    assert without_style(taste, taste_log)[row] == pytest.approx(np.mean(every))


def test_integrated_probability_is_calibrated(taste, taste_log):
    p = without_style(taste, taste_log)
    for part in np.array_split(np.argsort(p), 5):
        error = np.sqrt((p[part] * (1 - p[part])).sum()) / len(part)
        assert abs(taste_log.click[part].mean() - p[part].mean()) < 5 * error


def test_default_strength_offers_about_two_points():
    gains = []
    for seed in range(4):
        world = make_world(WorldConfig(seed=seed))
        log = make_log(world)
        reached = attainable(log, without_style(world, log))
        assert reached.gauc is not None
        assert reached.gauc_without_style is not None
        gains.append(100 * (reached.gauc - reached.gauc_without_style))
    assert np.mean(gains) == pytest.approx(2.0, abs=0.4)


def test_null_offers_nothing(null, null_log):
    reached = attainable(null_log, without_style(null, null_log))
    assert reached.gauc == pytest.approx(reached.gauc_without_style, abs=1e-4)


def test_attainable_reads_as_a_sentence():
    assert str(Attainable(0.69, 0.67)) == "GAUC 67.00 without style, 69.00 with it (+2.00 pp)"
    assert "not defined" in str(Attainable(None, None))
