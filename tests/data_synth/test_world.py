from dataclasses import fields

import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

from ctrbench.errors import ConfigError
from data_synth.world import KINDS, World, WorldConfig, make_world


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


def test_popularity_is_a_power_law_of_rank(taste):
    falling = np.sort(taste.items.popularity)[::-1]
    slopes = np.diff(np.log(falling)) / np.diff(np.log(np.arange(1, 1001)))
    np.testing.assert_allclose(slopes, -0.7)
    assert falling.sum() == pytest.approx(1)


def test_new_items_arrive_uniformly(taste):
    birth, week = taste.items.birth, taste.config.duration_s / 4
    assert (birth == 0).sum() == 600
    assert np.histogram(birth[birth > 0], bins=np.arange(5) * week)[0].tolist() == [100] * 4


def test_cold_items_arrive_before_the_start_too():
    config = WorldConfig(kind="cold")
    birth, life = make_world(config).items.birth, KINDS["cold"].shelf_life * config.duration_s
    assert -life < birth.min() < -0.9 * life
    assert np.diff(np.sort(birth)).max() == pytest.approx((config.duration_s + life) / 1000, abs=2)


def test_every_item_lies_at_the_stated_angle_to_its_style(taste):
    items = taste.items
    cosine = np.einsum("id,id->i", items.style, taste.centres[items.style_id])
    np.testing.assert_allclose(cosine, np.cos(np.deg2rad(27)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(items.style, axis=1), 1, atol=1e-6)


def test_items_deviate_from_their_style_in_uniform_directions(taste):
    items, centre = taste.items, taste.centres[taste.items.style_id]
    deviation = (items.style - np.cos(np.deg2rad(27)) * centre) / np.sin(np.deg2rad(27))
    assert np.abs(deviation.mean(axis=0)).max() < 4 / np.sqrt(8 * 1000)


@pytest.mark.parametrize("name", ["taste", "drift"])
def test_taste_times_style_has_unit_variance(taste, name):
    product = getattr(taste.users, name) @ taste.items.style.T
    assert (product**2).mean() == pytest.approx(1, rel=1e-4)
    assert abs(product.mean()) < 0.05


def _dependence(world: World) -> float:
    return normalized_mutual_info_score(world.items.category, world.items.style_id)


def test_style_depends_on_category_in_taste_but_not_in_null(taste, null):
    rng = np.random.default_rng(0)
    chance = [
        normalized_mutual_info_score(rng.permutation(null.items.category), null.items.style_id)
        for _ in range(50)
    ]
    assert _dependence(null) < max(chance)
    assert _dependence(taste) > 2 * max(chance)


def test_category_determines_style_in_redundant():
    world = make_world(WorldConfig(kind="redundant"))
    for category in range(12):
        own = world.items.style[world.items.category == category]
        np.testing.assert_allclose(own, np.broadcast_to(own[0], own.shape), atol=1e-6)
    assert (world.items.birth == 0).all()


@pytest.mark.parametrize("kind", ["null", "spurious"])
def test_style_is_independent_of_quality_and_popularity(kind):
    items = make_world(WorldConfig(kind=kind, seed=3)).items
    for trait in (items.quality, np.log(items.popularity), items.birth, items.price):
        correlation = np.corrcoef(items.style.T, trait)[-1, :-1]
        assert np.abs(correlation).max() < 4 / np.sqrt(1000)


@pytest.mark.parametrize(("kind", "low", "high"), [("spurious", 0.6, 0.8), ("taste", -0.1, 0.1)])
def test_source_correlates_with_quality_in_spurious_only(kind, low, high):
    items = make_world(WorldConfig(kind=kind)).items
    popularity = -np.argsort(np.argsort(-items.popularity))
    for trait in (items.quality, popularity):
        assert low < np.corrcoef(items.source, trait)[0, 1] < high


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"users": 0}, "users is 0"),
        ({"users": 2**31}, "2,147,483,646"),
        ({"items": 11}, "items is 11; .* 12"),
        ({"impressions": 99}, "impressions is 99; .* 100"),
        ({"seed": -1}, "seed is -1"),
        ({"strength": -0.1}, "strength is -0.1"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"strength": float("inf")}, "strength is inf"),
        ({"kind": "tast"}, "'tast'.*'taste'"),
        ({"kind": "null", "strength": 1.0}, "strength is 1; .* null .* 0"),
    ],
)
def test_invalid_world_is_rejected(wrong, message):
    with pytest.raises(ConfigError, match=message):
        make_world(WorldConfig(**wrong))


def test_all_mistakes_are_listed():
    with pytest.raises(ConfigError, match=r"(?s)users is 0.*items is 3"):
        make_world(WorldConfig(users=0, items=3))
