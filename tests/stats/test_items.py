"""What items add to a metric, against loops over pairs, deletions, and statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

from ctrbench.errors import DataError
from ctrbench.metrics import auc, gauc
from ctrbench.stats import Measured, infer, influences, pair
from ctrbench.stats.contrast import item_variance
from ctrbench.stats.influence import PAIR_BUCKETS
from ctrbench.stats.pooling import variances

SIZES = {"users": 40, "each": 15, "items": 12}


def made(seed=0, users=40, each=15, items=12, ties=True, weighted=False):
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), each)
    item = rng.integers(0, items, len(user))
    click = (rng.random(len(user)) < 0.35).astype(int)
    p = rng.random(len(user)) + 0.2 * click
    p = np.round(p / 2, 1 if ties else 9)
    weight = rng.uniform(0.5, 2, len(user)) if weighted else np.ones(len(user))
    return click, p, user, item, weight


def pair_sums(click, p, user, item, weight, group, metric):
    """Sums over the items of both impressions of every pair, by plain loops."""
    found = np.zeros(item.max() + 1)
    rows = [(g, np.flatnonzero(group == g)) for g in np.unique(group)]
    rows = [(g, own) for g, own in rows if 0 < click[own].sum() < len(own)]
    total = sum(weight[own].sum() for _, own in rows)
    value = (auc if metric == "auc" else lambda *a: gauc(*a[:2], group, weight=weight))(
        click, p, weight
    )
    by_pair = {}
    for _, own in rows:
        yes, no = own[click[own] == 1], own[click[own] == 0]
        share = 1 if metric == "auc" else weight[own].sum() / total
        mass = weight[yes].sum() * weight[no].sum()
        for i in yes:
            for j in no:
                wins = (p[i] > p[j]) + 0.5 * (p[i] == p[j])
                moved = share * weight[i] * weight[j] / mass * (wins - value)
                for row in (i, j):
                    found[item[row]] += moved
                    key = user[row], item[row]
                    by_pair[key] = by_pair.get(key, 0.0) + moved
    return found, np.array(list(by_pair.values()))


def leverage(found, item, share):
    part = np.bincount(item, share)
    return found / np.sqrt(1 - 2 * part + np.sum(part**2))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fine", [False, True])
def test_gauc_s_items_are_sums_over_pairs(weighted, fine):
    click, p, user, item, weight = made(weighted=weighted)
    group = user * 3 + (np.arange(len(user)) % 3 if fine else 0)
    found = influences(click, p, user, weight, group, item)["gauc"].items
    plain, by_pair = pair_sums(click, p, user, item, weight, group, "gauc")
    evaluable = np.zeros(len(user), bool)
    share = np.zeros(len(user))
    for g in np.unique(group):
        own = group == g
        if 0 < click[own].sum() < own.sum():
            evaluable |= own
            for of_class in (own & (click == 1), own & (click == 0)):
                share[of_class] = weight[own].sum() * weight[of_class] / weight[of_class].sum()
    share /= 2 * weight[evaluable].sum()
    np.testing.assert_allclose(found.per_item, leverage(plain, item, share), atol=1e-12)
    assert np.sum(found.pairs**2) == pytest.approx(
        np.sum(by_pair**2), rel=6 * np.sqrt(2 / PAIR_BUCKETS)
    )


def test_auc_s_items_are_sums_over_pairs():
    click, p, user, item, weight = made(users=12, weighted=True)
    found = influences(click, p, user, weight, item_id=item)["auc"].items
    one = np.zeros(len(user), int)
    plain, _ = pair_sums(click, p, user, item, weight, one, "auc")
    mass = np.where(click == 1, weight[click == 1].sum(), weight[click == 0].sum())
    np.testing.assert_allclose(found.per_item, leverage(plain, item, weight / mass / 2), atol=1e-12)


def test_an_item_adds_what_its_loss_takes_away():
    click, p, user, item, _ = made(users=400, each=40, items=200, ties=False)
    for name, metric in (("auc", auc), ("gauc", lambda c, q, u=user: gauc(c, q, u))):
        found = influences(click, p, user, item_id=item)[name].items.per_item
        taken = []
        for one in range(40):
            rest = item != one
            users = {"u": user[rest]} if name == "gauc" else {}
            taken.append(metric(click, p) - metric(click[rest], p[rest], **users))
        # a pair counts for both its items, so that the sum of all is twice each one's own part
        least = {"auc": 0.9999, "gauc": 0.97}[name]  # GAUC: a loss changes what users weigh, too
        assert np.corrcoef(taken, found[:40])[0, 1] > least
        slope = np.polyfit(taken, found[:40], 1)[0]
        assert slope == pytest.approx(1, abs=0.1)


def test_log_loss_has_the_two_way_variance_of_a_mean():
    """Of a mean, Cameron, Gelbach and Miller's estimator as statsmodels has it."""
    rng = np.random.default_rng(0)
    users, each, items = 200, 30, 60
    user, item = np.repeat(np.arange(users), each), rng.integers(0, items, users * each)
    quality = rng.normal(0, 1, items)[item] + rng.normal(0, 0.5, users)[user]
    p = 1 / (1 + np.exp(-rng.normal(0, 1, len(user))))
    click = (rng.random(len(user)) < 1 / (1 + np.exp(-quality))).astype(int)
    found = influences(click, p, user, item_id=item)["log_loss"]
    loss = -np.log(np.where(click == 1, p, 1 - p))
    fit = sm.OLS(loss, np.ones(len(loss))).fit()
    both, by_user, by_item = cov_cluster_2groups(fit, user, item, use_correction=False)
    of_pairs = (by_user + by_item - both)[0, 0]
    assert np.sum(found.per_user**2) == pytest.approx(by_user[0, 0], rel=0.02)  # CR2
    assert np.sum(found.items.per_item**2) == pytest.approx(by_item[0, 0], rel=0.06)
    assert np.sum(found.items.pairs**2) == pytest.approx(of_pairs, rel=0.2)


def contrast(click, arms, user, item, seeds=1, group=None):
    found = []
    for arm in arms:
        of_seed = [influences(click, p, user, group_id=group, item_id=item)["gauc"] for p in arm]
        found.append(
            Measured(
                "",
                {s: one.value for s, one in enumerate(of_seed)},
                {s: one.per_user for s, one in enumerate(of_seed)},
                of_seed[0].worth,
                {s: one.items.per_item for s, one in enumerate(of_seed)},
                {s: one.items.pairs for s, one in enumerate(of_seed)},
                of_seed[0].items.worth,
            )
        )
    return pair(*found)


def test_items_seen_once_have_nothing_in_common():
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(300), 10)
    click = (rng.random(len(user)) < 0.4).astype(int)
    arms = [[rng.random(len(user))] for _ in range(2)]
    found = contrast(click, arms, user, np.arange(len(user)))
    pairs = np.sum(found.pairs**2)
    assert abs(item_variance(found)) < 6 * np.sqrt(2 / PAIR_BUCKETS) * pairs


def test_an_error_that_items_share_widens_the_interval():
    rng = np.random.default_rng(0)
    users, each, items = 300, 20, 40
    user = np.repeat(np.arange(users), each)
    item = rng.integers(0, items, len(user))
    quality = rng.normal(0, 1, items)
    click = (rng.random(len(user)) < 1 / (1 + np.exp(-quality[item]))).astype(int)
    wrong = [rng.normal(0, 1, items) for _ in range(2)]
    arms = [[quality[item] + w[item] + rng.normal(0, 0.3, len(user))] for w in wrong]
    one = contrast(click, arms, user, item)
    (spread,) = variances([one])
    assert spread.items > 5 * spread.users
    blind = contrast(click, arms, user, np.arange(len(user)))
    wide, narrow = infer([one])[0], infer([blind])[0]
    assert wide.estimate == narrow.estimate
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert wide.shares["items"] > 0.8
    assert sum(wide.shares.values()) == pytest.approx(1)


def test_names_of_users_and_items_mean_nothing():
    click, p, user, item, _ = made()
    first = influences(click, p, user, item_id=item)["gauc"]
    other = influences(click, p, 1000 - user, item_id=500 - item)["gauc"]
    np.testing.assert_allclose(first.per_user, other.per_user[::-1], atol=1e-15)
    np.testing.assert_allclose(first.items.per_item, other.items.per_item[::-1], atol=1e-15)
    assert first.items.worth == pytest.approx(other.items.worth)
    squares = [np.sum(one.items.pairs**2) for one in (first, other)]
    assert squares[0] == pytest.approx(squares[1], rel=6 * np.sqrt(2 / PAIR_BUCKETS))


def test_a_difference_s_items_are_differences_of_items():
    click, p, user, item, _ = made()
    q = np.roll(p, 1)
    one = contrast(click, [[p], [q]], user, item)
    ours, theirs = (influences(click, x, user, item_id=item)["gauc"].items for x in (p, q))
    np.testing.assert_array_equal(one.items[0], ours.per_item - theirs.per_item)
    back = one.reversed()
    np.testing.assert_array_equal(back.items, -one.items)
    assert item_variance(back) == item_variance(one)


def test_groups_within_users_are_one_cluster():
    click, p, user, *_ = made()
    group = user * 2 + np.arange(len(user)) % 2
    found = influences(click, p, user, group_id=group)["gauc"]
    assert found.value == gauc(click, p, group)
    assert found.per_user.shape == (40,)
    part = influences(click, p, group)["gauc"]
    by_user = np.bincount(np.arange(80) // 2, part.per_user)
    np.testing.assert_allclose(found.per_user, by_user, rtol=0.1, atol=1e-4)


def test_lengths_that_differ_are_refused():
    click, p, user, item, _ = made()
    with pytest.raises(DataError, match="item_id"):
        influences(click, p, user, item_id=item[1:])
