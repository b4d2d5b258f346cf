from dataclasses import fields

import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

from ctrbench.errors import ConfigError
from data_synth.clicks import make_log
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
        ({"alignment": 0.5}, "alignment applies to world complement only, not to taste"),
        ({"kind": "complement", "alignment": 1.1}, "alignment is 1.1; use a number from 0 to 1"),
        ({"kind": "complement", "alignment": float("nan")}, "alignment is nan"),
        ({"kind": "complement", "roles": 13}, "roles is 13; use 1 to 12, the categories"),
    ],
)
def test_invalid_world_is_rejected(wrong, message):
    with pytest.raises(ConfigError, match=message):
        make_world(WorldConfig(**wrong))


def test_all_mistakes_are_listed():
    with pytest.raises(ConfigError, match=r"(?s)users is 0.*items is 3"):
        make_world(WorldConfig(users=0, items=3))


def test_at_full_alignment_complement_is_taste():
    log = make_log(make_world(WorldConfig(kind="complement", alignment=1.0, impressions=5000)))
    same = make_log(make_world(WorldConfig(impressions=5000)))
    for field in fields(same):
        np.testing.assert_array_equal(getattr(log, field.name), getattr(same, field.name))


@pytest.mark.parametrize("alignment", [0.0, 0.6])
def test_appeal_has_the_stated_cosine_to_the_style(alignment):
    world = make_world(WorldConfig(kind="complement", alignment=alignment))
    style = world.items.style
    appeal = np.einsum("ide,ie->id", world.rotations[world.items.category], style)
    np.testing.assert_allclose((appeal * style).sum(axis=1), alignment, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(appeal, axis=1), 1, atol=1e-5)
    product = world.users.taste @ appeal.T
    assert (product**2).mean() == pytest.approx(1, rel=1e-4)


def test_tastes_of_two_categories_agree_by_the_square_of_the_alignment():
    found = {}
    for alignment in (0.0, 0.5, 0.9):
        config = WorldConfig(kind="complement", alignment=alignment, categories=60)
        taste = make_world(config).rotations[:, 0]  # A' t of a unit taste, for each category
        gram = taste.astype(np.float64) @ taste.T
        found[alignment] = gram[np.triu_indices(60, 1)].mean()
    for alignment, cosine in found.items():
        assert cosine == pytest.approx(alignment**2, abs=0.05)


def test_categories_of_one_role_share_their_complement():
    rotations = make_world(WorldConfig(kind="complement", roles=3)).rotations
    np.testing.assert_array_equal(rotations[0], rotations[3])
    assert len(np.unique(rotations, axis=0)) == 3


def test_style_term_of_complement_is_the_product_of_taste_and_appeal():
    world = make_world(WorldConfig(kind="complement", alignment=0.3))
    rng = np.random.default_rng(0)
    taste = rng.normal(size=(5, 8)).astype(np.float32)
    session, item = rng.integers(0, 5, 200), rng.integers(0, 1000, 200)
    category = world.items.category[item]
    found, row = world.tastes_of(taste, session, category)
    term = (found[row] * world.items.style[item]).sum(axis=1)
    for n in range(200):
        appeal = world.rotations[category[n]] @ world.items.style[item[n]]
        assert term[n] == pytest.approx(taste[session[n]] @ appeal, abs=1e-5)
