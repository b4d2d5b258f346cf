import numpy as np
import pytest

from ctrbench.seeding import stream
from data_synth.clicks import make_log
from data_synth.exposure import LONGEST_SESSION, Shown, make_policy, rhythm, show
from data_synth.world import KINDS, WorldConfig, make_world


@pytest.fixture(scope="module")
def shown(taste) -> Shown:
    window = (0, taste.config.duration_s)
    return show(make_policy(taste), 50_000, window, stream(0, "test"))


def _sessions(shown: Shown) -> list[np.ndarray]:
    return np.split(np.arange(len(shown.user)), np.flatnonzero(shown.position == 1)[1:])


def test_session_has_one_user_and_increasing_positions_and_times(shown):
    for rows in _sessions(shown):
        assert len(set(shown.user[rows])) == 1
        assert shown.position[rows].tolist() == list(range(1, len(rows) + 1))
        assert (np.diff(shown.time[rows]) >= 2).all()


def test_sessions_have_the_stated_mean_length(shown):
    lengths = np.array([len(rows) for rows in _sessions(shown)])
    assert lengths.sum() == 50_000
    assert lengths.max() <= LONGEST_SESSION
    drawn = np.minimum(np.random.default_rng(0).geometric(1 / 6, 100_000), LONGEST_SESSION)
    assert lengths.mean() == pytest.approx(
        drawn.mean(), abs=4 * lengths.std() / len(lengths) ** 0.5
    )


def test_sessions_per_user_are_proportional_to_activity(taste, shown):
    visits = np.bincount(shown.user[shown.position == 1], minlength=2_000)
    expected = taste.users.activity * visits.sum()
    surplus = (visits - expected) / np.sqrt(expected)
    assert surplus.std() == pytest.approx(1, abs=0.1)


def test_items_are_not_shown_before_their_birth(taste, shown):
    birth = taste.items.birth[shown.item]
    assert (shown.time >= birth).all()
    assert (birth > 0).mean() > 0.1


def test_items_are_not_shown_after_their_shelf_life():
    world = make_world(WorldConfig(kind="cold"))
    log = make_log(world)
    life = KINDS["cold"].shelf_life * world.config.duration_s
    age = log.time - world.items.birth[log.item]
    assert age.min() >= 0
    assert age.max() < life + LONGEST_SESSION * 40


def test_most_test_impressions_of_cold_show_items_unseen_in_training():
    log = make_log(make_world(WorldConfig(kind="cold")))
    trained, tested = log.item[: round(0.7 * len(log))], log.item[round(0.8 * len(log)) :]
    assert np.isin(tested, trained).mean() < 0.3


def test_impressions_follow_the_popularity_exponent(taste, shown):
    present = taste.items.birth == 0
    falling = np.sort(np.bincount(shown.item, minlength=1000)[present])[::-1]
    rank, popular = np.arange(1, 601), slice(4, 300)
    slope = np.polyfit(np.log(rank[popular]), np.log(falling[popular]), 1)[0]
    assert slope == pytest.approx(-taste.config.popularity_exponent, abs=0.07)


def test_users_are_shown_preferred_categories_more_often(taste, shown):
    taken = taste.users.category_taste[shown.user, taste.items.category[shown.item]]
    assert taken.mean() == pytest.approx(
        0.5, abs=0.1
    )  # the weight exp(w h) shifts the mean of a normal by w


def test_item_shares_at_one_time_equal_the_formula(taste):
    """Compare item counts over many draws at one time with the formula of the policy."""
    policy, user, moment = make_policy(taste), 7, 3.0e5
    items, users = taste.items, taste.users
    weight = items.popularity * (items.birth <= moment)
    by_category = np.bincount(items.category, weight, 12) * np.exp(0.5 * users.category_taste[user])
    of_item = by_category[items.category] / by_category.sum()
    of_item *= weight / np.bincount(items.category, weight, 12)[items.category]
    from data_synth.exposure import _draw_items

    sessions = np.zeros(200_000, int)
    drawn = _draw_items(
        policy, np.array([user]), np.array([moment]), sessions, stream(0, "by hand")
    )
    counted = np.bincount(drawn, minlength=1000)
    expected = 200_000 * of_item
    assert counted[expected == 0].sum() == 0
    frequent = expected > 20
    surplus = (counted - expected)[frequent] / np.sqrt(expected[frequent])
    assert (surplus**2).mean() == pytest.approx(1, abs=0.2)


def test_popular_items_are_ranked_first(taste, shown):
    logarithm = np.log(taste.items.popularity[shown.item])
    first, sixth = (logarithm[shown.position == place].mean() for place in (1, 6))
    assert first > sixth + 0.2


def test_rhythm_preserves_order_and_day_boundaries():
    moments = np.linspace(0, 3 * 86_400, 10_001)
    shifted = rhythm(moments)
    assert (np.diff(shifted) > 0).all()
    np.testing.assert_allclose(rhythm(np.arange(4) * 86_400.0), np.arange(4) * 86_400.0, atol=1e-6)


def test_busiest_hour_has_twice_the_impressions_of_the_quietest(shown):
    hour = shown.time % 86_400 // 3600
    counts = np.bincount(hour, minlength=24)
    assert counts.max() > 2 * counts.min()
