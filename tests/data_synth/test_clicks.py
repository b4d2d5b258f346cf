from dataclasses import fields

import numpy as np
import pytest

from data_synth import clicks
from data_synth.clicks import Log, log_parts, make_click_model, make_log
from data_synth.exposure import Shown
from data_synth.world import World, WorldConfig, make_world


def _equal(one: Log, other: Log) -> bool:
    names = [field.name for field in fields(Log)]
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_same_seed_same_log(taste, taste_log):
    assert _equal(taste_log, make_log(make_world(taste.config)))


def test_rows_are_sorted_by_time(taste, taste_log):
    assert len(taste_log) == taste.config.impressions
    assert (np.diff(taste_log.time) >= 0).all()


@pytest.fixture
def many_blocks(monkeypatch) -> World:
    """Return a world of 13 blocks, whose sessions end after the time window of their block."""
    monkeypatch.setattr(clicks, "BLOCK", 1 << 8)
    return make_world(WorldConfig(users=100, items=50, impressions=3_300, days=1))


def test_parts_do_not_depend_on_the_first_part(many_blocks):
    model = make_click_model(many_blocks)
    whole = list(log_parts(model))
    assert len(whole) == clicks.blocks(many_blocks.config) == 13
    for first in (1, 6, 12):
        again = list(log_parts(model, first))
        assert len(again) == 13 - first
        assert all(map(_equal, whole[first:], again))


def test_parts_do_not_depend_on_the_number_of_workers(many_blocks):
    model = make_click_model(many_blocks)
    assert all(map(_equal, log_parts(model), log_parts(model, workers=3)))


def test_parts_contain_every_impression_once_sorted_by_time(many_blocks):
    log = make_log(many_blocks)
    assert len(log) == 3_300
    assert (np.diff(log.time) >= 0).all()


def test_ctr_equals_the_setting(taste_log):
    assert taste_log.p_true.mean() == pytest.approx(0.2, abs=0.005)
    error = np.sqrt((taste_log.p_true * (1 - taste_log.p_true)).sum()) / 120_000
    assert abs(taste_log.click.mean() - taste_log.p_true.mean()) < 4 * error


def test_clicks_follow_p_true_in_every_decile(taste_log):
    for part in np.array_split(np.argsort(taste_log.p_true), 10):
        p = taste_log.p_true[part]
        error = np.sqrt((p * (1 - p)).sum()) / len(p)
        assert abs(taste_log.click[part].mean() - p.mean()) < 4 * error


def test_p_true_equals_the_documented_equation(taste, taste_log):
    """Check impressions at position 1, whose time is the start of the session."""
    users, items, logit = taste.users, taste.items, []
    first = np.flatnonzero(taste_log.position == 1)[:500]
    for row in first:
        user, item = taste_log.user[row], taste_log.item[row]
        turned = np.deg2rad(30) * taste_log.time[row] / (28 * 86_400)
        liked = np.cos(turned) * users.taste[user] + np.sin(turned) * users.drift[user]
        logit.append(
            0.5 * users.leniency[user]
            + 0.5 * items.quality[item]
            + 0.5 * users.category_taste[user, items.category[item]]
            - 0.3 * users.price_sense[user] * items.price[item]
            + 1.0 * liked @ items.style[item]
        )
    p = taste_log.p_true[first].astype(np.float64)
    intercept = np.log(p / (1 - p)) - logit
    np.testing.assert_allclose(intercept, intercept[0], atol=1e-4)


def test_later_positions_are_clicked_less(taste):
    """Check one item at positions 1 and 4: the logits differ by 0.3 ln 4."""
    model = make_click_model(taste)
    item, session = np.full(4, 5, np.int32), np.zeros(4, int)
    time, position = np.arange(4) + 9**7, np.arange(1, 5, dtype=np.int16)
    start = np.array([9.0**7])
    shown = Shown(np.array([3], np.int32), start, session, item, time, position)
    rest = clicks._rest(model.world, shown)
    assert rest[0] - rest[3] == pytest.approx(0.3 * np.log(4), abs=1e-6)


def test_taste_rotates_by_the_stated_angle(taste):
    none = np.zeros(0, int)

    def tastes_at(moment: float) -> np.ndarray:
        visitor, start = np.arange(100, dtype=np.int32), np.full(100, moment)
        return clicks.tastes(taste, Shown(visitor, start, none, none, none, none))

    np.testing.assert_allclose(tastes_at(0), taste.users.taste[:100])
    expected = np.cos(np.pi / 6) * taste.users.taste[:100] + 0.5 * taste.users.drift[:100]
    np.testing.assert_allclose(tastes_at(taste.config.duration_s), expected, atol=1e-5)


def test_ties_in_time_are_sorted_by_user_item_click_and_position():
    columns = {
        "time": [5, 5, 5, 5, 4],
        "user": [1, 1, 1, 0, 9],
        "item": [3, 2, 2, 7, 1],
        "click": [0, 1, 0, 1, 0],
        "position": [1, 1, 2, 1, 1],
    }
    arrays = {name: np.array(values) for name, values in columns.items()}
    p = np.arange(5) / 10
    log = clicks._in_order(Log(p_true=p, p_without_style=p, **arrays))
    assert log.p_true.tolist() == [0.4, 0.3, 0.2, 0.1, 0.0]


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
    np.testing.assert_allclose(log.p_true, log.p_without_style, rtol=1e-5)
    assert abs(_correlation_of_clicks_and_style(world, log)) < 4 / np.sqrt(120_000)
