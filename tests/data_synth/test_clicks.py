from dataclasses import fields

import numpy as np
import pytest

from data_synth.clicks import Log, make_log, style_term
from data_synth.world import World, WorldConfig, make_world


def test_same_seed_same_log(taste, taste_log):
    again = make_log(make_world(taste.config))
    for field in fields(Log):
        np.testing.assert_array_equal(getattr(taste_log, field.name), getattr(again, field.name))


def test_rows_are_in_order_of_time(taste, taste_log):
    assert len(taste_log.time) == taste.config.impressions
    assert np.all(np.diff(taste_log.time) >= 0)


def test_a_user_sees_one_thing_at_a_time_but_users_share_seconds(taste_log):
    pairs = np.stack([taste_log.user, taste_log.time])
    assert np.unique(pairs, axis=1).shape == pairs.shape
    assert len(np.unique(taste_log.time)) < len(taste_log.time)


def test_crowded_seconds_are_pulled_apart():
    log = make_log(make_world(WorldConfig(users=1, items=12, impressions=100, duration_s=10)))
    assert np.diff(log.time).min() > 0


def test_nothing_is_shown_before_its_birth(taste, taste_log):
    age = taste_log.time - taste.items.birth[taste_log.item]
    assert age.min() >= 0
    late = taste.items.birth[taste_log.item] > 0
    assert late.mean() > 0.1


def test_ctr_is_the_promised_one(taste_log):
    assert taste_log.p_true.mean() == pytest.approx(0.2, abs=1e-9)
    assert taste_log.click.mean() == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / 120_000))


def test_clicks_follow_p_true_in_every_tenth(taste_log):
    for part in np.array_split(np.argsort(taste_log.p_true), 10):
        p = taste_log.p_true[part]
        error = np.sqrt((p * (1 - p)).sum()) / len(p)
        assert abs(taste_log.click[part].mean() - p.mean()) < 4 * error


def test_popularity_exponent_shows_in_the_log(taste, taste_log):
    there = taste.items.birth == 0
    shown = np.sort(np.bincount(taste_log.item, minlength=1000)[there])[::-1]
    rank = np.arange(1, 601)
    popular = slice(4, 300)
    slope = np.polyfit(np.log(rank[popular]), np.log(shown[popular]), 1)[0]
    assert slope == pytest.approx(-taste.config.popularity_exponent, abs=0.07)


def test_users_are_shown_the_categories_they_like(taste, taste_log):
    taken = taste.users.category_taste[taste_log.user, taste.items.category[taste_log.item]]
    assert taken.mean() == pytest.approx(0.5, abs=0.1)  # exp(w h) tilts a normal's mean by w


def test_p_true_is_the_written_equation(taste, taste_log):
    users, items = taste.users, taste.items
    logit = [
        0.5 * users.leniency[user]
        + 0.5 * items.quality[item]
        + 0.5 * users.category_taste[user, items.category[item]]
        + 1.0 * users.taste[user] @ items.style[item]
        for user, item in zip(taste_log.user[:500], taste_log.item[:500], strict=True)
    ]
    p = taste_log.p_true[:500]
    intercept = np.log(p / (1 - p)) - logit
    np.testing.assert_allclose(intercept, intercept[0])


def _correlation_of_clicks_and_style(world: World, log: Log) -> float:
    product = np.einsum("nd,nd->n", world.users.taste[log.user], world.items.style[log.item])
    return float(np.corrcoef(product, log.click)[0, 1])


def test_null_clicks_are_independent_of_style(null, null_log):
    assert abs(_correlation_of_clicks_and_style(null, null_log)) < 4 / np.sqrt(120_000)


def test_taste_clicks_depend_on_style(taste, taste_log):
    assert _correlation_of_clicks_and_style(taste, taste_log) > 0.1


def test_strength_zero_removes_the_style_effect():
    world = make_world(WorldConfig(strength=0.0))
    log = make_log(world)
    np.testing.assert_array_equal(style_term(world, log.user, log.item), 0)
    assert abs(_correlation_of_clicks_and_style(world, log)) < 4 / np.sqrt(120_000)
