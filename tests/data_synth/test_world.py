from dataclasses import fields

import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

from ctrbench.errors import ConfigError
from data_synth.world import World, WorldConfig, make_world


@pytest.mark.parametrize("part", ["items", "users"])
def test_same_seed_same_world(taste, part):
    again, other = make_world(taste.config), make_world(WorldConfig(strength=1.0, seed=4))
    for field in fields(getattr(taste, part)):
        here, there, elsewhere = (
            getattr(getattr(world, part), field.name) for world in (taste, again, other)
        )
        np.testing.assert_array_equal(here, there)
        assert not np.array_equal(here, elsewhere)


def test_every_category_has_items(taste):
    assert set(taste.items.category) == set(range(12))


def test_popularity_is_a_power_law_of_its_rank(taste):
    falling = np.sort(taste.items.popularity)[::-1]
    slopes = np.diff(np.log(falling)) / np.diff(np.log(np.arange(1, 1001)))
    np.testing.assert_allclose(slopes, -0.7)
    assert falling.sum() == pytest.approx(1)


def test_new_items_keep_arriving(taste):
    birth = taste.items.birth
    week = taste.config.duration_s / 4
    assert (birth == 0).mean() == pytest.approx(0.6, abs=0.01)
    arrived = np.histogram(birth[birth > 0], bins=np.arange(5) * week)[0]
    assert np.all(abs(arrived - 100) < 4 * np.sqrt(100 * 0.75))


def test_style_varies_within_a_style(taste):
    items = taste.items
    cosine = items.style @ items.style.T
    same = items.style_id[:, None] == items.style_id[None, :]
    np.testing.assert_allclose(np.diag(cosine), 1)
    off_diagonal = ~np.eye(1000, dtype=bool)
    assert 0.7 < cosine[same & off_diagonal].mean() < 0.9
    assert abs(cosine[~same].mean()) < 0.2


def test_taste_times_style_has_unit_variance(taste):
    product = taste.users.taste @ taste.items.style.T
    assert (product**2).mean() == pytest.approx(1)
    assert abs(product.mean()) < 0.05


def _dependence(world: World) -> float:
    return normalized_mutual_info_score(world.items.category, world.items.style_id)


def test_categories_have_their_styles_in_taste_but_not_in_null(taste, null):
    rng = np.random.default_rng(0)
    chance = [
        normalized_mutual_info_score(rng.permutation(null.items.category), null.items.style_id)
        for _ in range(50)
    ]
    assert _dependence(null) < max(chance)
    assert _dependence(taste) > 2 * max(chance)


def test_null_style_is_independent_of_quality_and_popularity(null):
    items = null.items
    for trait in (items.quality, np.log(items.popularity), items.birth):
        correlation = np.corrcoef(items.style.T, trait)[-1, :-1]
        assert np.abs(correlation).max() < 4 / np.sqrt(1000)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"users": 0}, "users is 0; use 1 or more"),
        ({"items": 11}, "items is 11; use 12 or more, one for each category"),
        ({"impressions": 99}, "impressions is 99; use 100 or more"),
        ({"strength": -0.1}, "strength is -0.1; use a number of 0 or more"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"strength": float("inf")}, "strength is inf"),
        ({"kind": "tast"}, "no world 'tast'; known: null, taste. Did you mean 'taste'"),
        ({"kind": "null", "strength": 1.0}, "strength is 1; in world null it can only be 0"),
    ],
)
def test_impossible_world_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        make_world(WorldConfig(**wrong))


def test_all_mistakes_are_shown_at_once():
    with pytest.raises(ConfigError, match=r"(?s)users is 0.*items is 3"):
        make_world(WorldConfig(users=0, items=3))
