"""Item sums, their sketch, evaluation groups and the two-way clustered variance."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

from ctrbench.errors import DataError
from ctrbench.metrics import (
    PAIR_BUCKETS,
    auc,
    evaluate,
    gauc,
    grouped_auc,
    influences,
    pair_buckets,
    with_influence,
)
from ctrbench.metrics._influence import _free
from ctrbench.stats import Contrast, Measured, compare_predictions, infer, pair
from ctrbench.stats.contrast import item_interaction_variance, item_pull, item_variance
from ctrbench.stats.pooling import variances

METRICS = [metric.name for metric in with_influence()]


def _log(rows: int = 400, users: int = 25, items: int = 12, weighted: bool = True):
    rng = np.random.default_rng(0)
    user = rng.choice(users, rows, p=rng.dirichlet(np.full(users, 2.0))) * 3 + 1
    item = rng.choice(items, rows, p=rng.dirichlet(np.full(items, 2.0))) * 5 + 2
    click = rng.integers(0, 2, rows)
    p = np.round(np.clip(0.3 + 0.3 * click + rng.normal(0, 0.3, rows), 0.01, 0.99), 2)
    weight = rng.uniform(0.5, 3, rows) if weighted else np.ones(rows)
    return click, p, user, item, weight


def _slow_pairs(name, click, p, user, weight, group=None):
    """Return the (N, N) influence of each pair of a click i and a non-click j."""
    group = user if group is None else group
    kernel = np.zeros((len(p), len(p)))
    value = auc(click, p, weight) if name == "auc" else gauc(click, p, group, "impressions", weight)
    parts = [np.ones(len(p), bool)]
    if name == "gauc":
        parts = [own for g in np.unique(group) if 0 < click[own := group == g].sum() < own.sum()]
    total = sum(weight[own].sum() for own in parts)
    for own in parts:
        yes, no = np.flatnonzero(own & (click == 1)), np.flatnonzero(own & (click == 0))
        mass = weight[yes].sum() * weight[no].sum()
        for i in yes:
            for j in no:
                right = (p[i] > p[j]) + 0.5 * (p[i] == p[j])
                share = weight[own].sum() / total * weight[i] * weight[j] / mass
                kernel[i, j] = share * (right - value)
    return kernel


def _slow_items(kernel, item):
    """Return (N,) sums over the pairs of each impression, and (I,) over those of each item."""
    each = kernel.sum(axis=1) + kernel.sum(axis=0)  # (N,)
    return each, np.array([each[item == a].sum() for a in np.unique(item)])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["auc", "gauc"])
def test_item_sums_against_all_pairs(name, weighted):
    click, p, user, item, weight = _log(weighted=weighted)
    found = influences(click, p, user, weight if weighted else None, item_id=item)[name].items
    each, expected = _slow_items(_slow_pairs(name, click, p, user, weight), item)
    part = _parts(name, click, user, item, weight)
    np.testing.assert_allclose(found.per_item, expected, atol=1e-12)
    assert found.effective == pytest.approx(1 / np.sum(part**2))
    bucket, sign = pair_buckets(user, item)
    sketch = [np.sum((sign * each)[bucket == r]) for r in range(PAIR_BUCKETS)]
    np.testing.assert_allclose(found.pairs, sketch, atol=1e-12)


def _parts(name, click, user, item, weight):
    """Return the (I,) share of each item in the pairs; a pair counts for both of its items."""
    part = np.zeros(len(weight))
    groups = np.zeros(len(user)) if name == "auc" else user
    good = [o for g in np.unique(groups) if 0 < click[o := groups == g].sum() < o.sum()]
    total = sum(weight[own].sum() for own in good)
    for own in good:
        for of_class in (own & (click == 1), own & (click == 0)):
            part[of_class] = weight[of_class] / weight[of_class].sum() * weight[own].sum() / total
    return np.array([part[item == a].sum() / 2 for a in np.unique(item)])


def test_a_user_s_pairs_count_twice_in_the_sum_of_its_impressions():
    click, p, user, _, weight = _log()
    kernel = _slow_pairs("gauc", click, p, user, weight)
    each = kernel.sum(axis=1) + kernel.sum(axis=0)
    grouped = grouped_auc(click, p, user, weight)
    value, part = grouped.gauc(), grouped.weight * grouped.evaluable
    part = part / part.sum()
    expected = part * np.where(grouped.evaluable, grouped.auc - value, 0)
    sums = [each[user == u].sum() for u in np.unique(user)]
    np.testing.assert_allclose(sums, 2 * expected, atol=1e-12)


@pytest.mark.parametrize("name", ["auc", "gauc"])
def test_cross_term_against_impressions_of_different_users_with_one_item(name):
    """The item variance of a difference is a sum of products over one item's different users."""
    click, p, user, item, weight = _log(rows=300)
    other = np.clip(p + np.random.default_rng(1).normal(0, 0.1, len(p)), 0.01, 0.99)
    one, two = (influences(click, q, user, weight, item_id=item)[name] for q in (p, other))
    each = np.subtract(
        *(_slow_items(_slow_pairs(name, click, q, user, weight), item)[0] for q in (p, other))
    )
    same_item, same_user = item[:, None] == item, user[:, None] == user
    products = np.outer(each, each)
    cross = products[same_item & ~same_user].sum()
    sums = one.items.per_item - two.items.per_item
    pairs = products[same_item & same_user].sum()
    assert np.sum(sums**2) - pairs == pytest.approx(cross)
    sketched = np.sum((one.items.pairs - two.items.pairs) ** 2)
    assert sketched == pytest.approx(pairs, rel=5 * np.sqrt(2 / PAIR_BUCKETS))


def test_log_loss_is_a_mean_with_errors_clustered_by_user_and_item():
    """The variance equals `cov_cluster_2groups` without small-sample factors."""
    click, p, user, item, _ = _log(rows=6_000, users=200, items=80, weighted=False)
    loss = -np.log(np.where(click, p, 1 - p))
    found = influences(click, p, user, item_id=item)["log_loss"]
    fitted = sm.OLS(loss, np.ones(len(loss))).fit()
    both, by_user, by_item = (
        float(one[0, 0])
        for one in cov_cluster_2groups(fitted, user, item.copy(), use_correction=False)
    )
    assert found.value == pytest.approx(fitted.params[0])
    part = np.unique(user, return_counts=True)[1] / len(user)
    free = len(part) / (len(part) - 1) * _free(part)  # CR2, with standard_error's factor
    assert np.sum(found.per_user**2 * free) == pytest.approx(by_user)
    assert np.sum(found.items.per_item**2) == pytest.approx(by_item)
    pairs = np.sum(found.items.pairs**2)
    expected = by_user + by_item - both
    assert pairs == pytest.approx(expected, rel=5 * np.sqrt(2 / PAIR_BUCKETS))


@pytest.mark.parametrize("name", METRICS)
def test_other_ids_in_the_same_order_change_no_item_sum(name):
    click, p, user, item, weight = _log()
    one = influences(click, p, user, weight, item_id=item)[name]
    two = influences(click, p, 7 * user - 500, weight, item_id=item * 11 - 40)[name]
    np.testing.assert_allclose(two.items.per_item, one.items.per_item, atol=1e-15)
    assert two.items.effective == pytest.approx(one.items.effective)
    squares = [np.sum(x.items.pairs**2) for x in (one, two)]
    assert squares[0] == pytest.approx(squares[1], rel=8 * np.sqrt(2 / PAIR_BUCKETS))


@pytest.mark.parametrize("name", METRICS)
def test_item_sums_do_not_depend_on_the_order_of_rows(name):
    log = _log()
    order = np.random.default_rng(3).permutation(len(log[0]))
    one, two = (
        influences(c, p, u, w, item_id=i)[name].items
        for c, p, u, i, w in (log, [column[order] for column in log])
    )
    np.testing.assert_allclose(one.per_item, two.per_item, atol=1e-14)
    np.testing.assert_allclose(one.pairs, two.pairs, atol=1e-14)


def test_the_sketch_is_unbiased_over_hashes():
    rng, users = np.random.default_rng(4), np.repeat(np.arange(60), 20)
    items, values = rng.integers(0, 500, 1_200), rng.normal(size=1_200)
    codes = users * 500 + items
    exact, estimates = np.sum(np.bincount(codes, values) ** 2), []
    for shift in range(200):
        bucket, sign = pair_buckets(users + 1_000 * shift, items)
        estimates.append(np.sum(np.bincount(bucket, sign * values) ** 2))
    assert np.mean(estimates) == pytest.approx(exact, rel=0.01)
    assert np.std(estimates) / exact < 1.3 * np.sqrt(2 / PAIR_BUCKETS)


@pytest.mark.parametrize("name", ["auc", "gauc", "log_loss"])
def test_item_sums_are_derivatives_in_the_weight_of_an_item(name):
    """Compare with the numerical derivative of the metric by the weight of one item."""
    click, p, user, item, weight = _log(rows=3_000, users=60, items=40)
    found = influences(click, p, user, weight, item_id=item)[name].items

    def value(w):
        return influences(click, p, user, w)[name].value

    items, moved = np.unique(item), []
    for a in items:
        more, less = (np.where(item == a, weight * (1 + s), weight) for s in (1e-5, -1e-5))
        moved.append((value(more) - value(less)) / 2e-5)
    _, code = np.unique(item, return_inverse=True)
    sums = found.per_item
    if name != "gauc":
        np.testing.assert_allclose(sums, moved, atol=1e-8)
        return
    # The weight of a user also changes with those of its items; that part belongs to users.
    grouped = grouped_auc(click, p, user, weight)
    deviation = np.where(grouped.evaluable, grouped.auc - grouped.gauc(), 0)
    of_user = np.searchsorted(grouped.user_id, user)
    carrying = weight * grouped.evaluable[of_user]
    own = np.bincount(code, carrying * deviation[of_user]) / carrying.sum()
    pairs = _slow_like(click, weight, of_user, grouped, deviation)
    expected = np.array(moved) - own + np.bincount(code, pairs)
    np.testing.assert_allclose(sums, expected, atol=1e-8)


def _slow_like(click, weight, of_user, grouped, deviation):
    """Return (N,) shares of the user's deviation, by the pairs of each impression."""
    share = grouped.weight * grouped.evaluable / (grouped.weight * grouped.evaluable).sum()
    mass = np.where(
        click, grouped.click_weight[of_user], (grouped.weight - grouped.click_weight)[of_user]
    )
    used = grouped.evaluable[of_user]
    return np.where(used, share[of_user] * weight / np.where(used, mass, 1) * deviation[of_user], 0)


@pytest.mark.parametrize("name", ["auc", "gauc", "log_loss"])
def test_items_shown_once_have_no_variance_of_their_own(name):
    click, p, user, _, _ = _log(weighted=False)
    other = np.clip(p + np.random.default_rng(1).normal(0, 0.1, len(p)), 0.01, 0.99)
    contrast = _contrast(name, click, [p], [other], user, np.arange(len(p)))
    by_item = np.sum(contrast.items.mean(axis=0) ** 2)
    assert abs(item_variance(contrast)) < 5 * np.sqrt(2 / PAIR_BUCKETS) * by_item


def _contrast(name, click, ours, theirs, user, item) -> Contrast:
    def measured(arm):
        found = [influences(click, p, user, item_id=item)[name] for p in arm]
        return Measured(
            "",
            {s: one.value for s, one in enumerate(found)},
            {s: one.per_user for s, one in enumerate(found)},
            found[0].effective_users,
            {s: one.items.per_item for s, one in enumerate(found)},
            {s: one.items.pairs for s, one in enumerate(found)},
            found[0].items.effective,
        )

    found = pair(measured(ours), measured(theirs))
    assert found is not None
    return found


def test_no_item_variance_with_one_item():
    click, p, user, _, _ = _log()
    other = np.random.default_rng(1).permutation(p)
    found = compare_predictions(click, user, p, other, item_id=np.full(len(p), 9))
    without = compare_predictions(click, user, p, other)
    assert not found.variance.with_items
    assert (found.low, found.high) == (without.low, without.high)


def test_item_variance_by_hand():
    """Return a contrast of two seeds with item sums (3, -3), (1, -1) and pairs (1, 0), (0, 1)."""
    items, pairs = np.array([[3.0, -3.0], [1.0, -1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    delta, moved = np.array([0.1, 0.2]), np.array([[1.0, -1.0], [1.0, -1.0]])
    contrast = Contrast((0, 1), delta, moved, items=items, pairs=pairs, effective_items=2)
    assert item_variance(contrast) == pytest.approx(8 - 0.5)
    assert item_interaction_variance(contrast) == pytest.approx(4 - 1)
    (found,) = variances([contrast])
    assert found.with_items
    pull = item_pull(replace(contrast, effective_items=40))
    assert pull == 4 / 40
    assert item_pull(replace(contrast, effective_items=40, items_each=1)) == 1 / 40
    (found,) = variances([replace(contrast, effective_items=40)])
    cross = 7.5 - 3 / 2
    assert found.items == pytest.approx((cross + 0.1 * found.users) / 0.9)
    assert found.sampled == pytest.approx((found.users + cross) / 0.9)
    assert found.total == pytest.approx(found.users + found.items + found.seeds)
    assert found.item_degrees == pytest.approx((found.items / (8 / 0.9)) ** 2)


def test_item_effects_widen_the_interval():
    rng = np.random.default_rng(5)
    user, item = np.repeat(np.arange(300), 20), rng.integers(0, 40, 6_000)
    click = rng.integers(0, 2, 6_000)
    shared, alone = rng.normal(0, 1.5, 40)[item], rng.normal(0, 1.5, 6_000)
    widths = {}
    for name, error in (("items", shared), ("impressions", alone)):
        p = 1 / (1 + np.exp(-click - error))
        reference = 1 / (1 + np.exp(-click - rng.normal(0, 0.3, 6_000)))
        for metric in ("gauc", "auc"):
            with_items, without = (
                compare_predictions(click, user, p, reference, metric, item_id=ids)
                for ids in (item, None)
            )
            widths[name, metric] = (with_items.high - with_items.low) / (without.high - without.low)
    for metric in ("gauc", "auc"):
        assert widths["items", metric] > 2
        assert widths["impressions", metric] < 1.3


def test_comparisons_with_and_without_item_sums_are_judged_together():
    rng = np.random.default_rng(6)
    moved = rng.normal(0, 0.01, (1, 50))
    items, pairs = rng.normal(0, 0.02, (1, 30)), rng.normal(0, 0.001, (1, PAIR_BUCKETS))
    plain = Contrast((0,), np.array([0.01]), moved, "a", "base")
    known = Contrast((0,), np.array([0.01]), moved, "b", "base", items=items, pairs=pairs)
    one, two = infer([plain, known])
    assert (one.variance.with_items, two.variance.with_items) == (False, True)
    assert two.variance.items > 0
    assert two.high > one.high


def _days(user: np.ndarray) -> np.ndarray:
    return user * 4 + np.random.default_rng(7).integers(0, 4, len(user))


def test_groups_finer_than_users_are_summed_by_user():
    click, p, user, item, weight = _log(rows=900)
    day = _days(user)
    found = influences(click, p, user, weight, group_id=day, item_id=item)
    assert found["gauc"].value == pytest.approx(gauc(click, p, day, "impressions", weight))
    assert found["gauc_users"].value == pytest.approx(gauc(click, p, day, "users", weight))
    by_group = influences(click, p, day, weight)["gauc"]
    grouped = grouped_auc(click, p, day, weight)
    share = grouped.weight * grouped.evaluable
    part = share / share.sum()
    raw = part * np.where(grouped.evaluable, grouped.auc - grouped.gauc(), 0)
    owner = grouped.user_id // 4
    users = np.unique(user)
    part_of_user = np.array([part[owner == u].sum() for u in users])
    carrying = np.count_nonzero(part_of_user)
    factor = np.sqrt((carrying - 1) / carrying / _free(part_of_user))
    expected = factor * [raw[owner == u].sum() for u in users]
    np.testing.assert_allclose(found["gauc"].per_user, expected, atol=1e-12)
    assert found["gauc"].effective_users == pytest.approx(1 / np.sum(part_of_user**2))
    assert by_group.effective_users > found["gauc"].effective_users
    each, _ = _slow_items(_slow_pairs("gauc", click, p, user, weight, day), item)
    bucket, sign = pair_buckets(user, item)
    expected = np.bincount(bucket, sign * each, PAIR_BUCKETS)
    np.testing.assert_allclose(found["gauc"].items.pairs, expected, atol=1e-12)
    for name in ("auc", "log_loss"):
        plain = influences(click, p, user, weight)[name]
        np.testing.assert_array_equal(found[name].per_user, plain.per_user)


def test_users_as_groups_have_no_effect():
    click, p, user, item, weight = _log()
    one = influences(click, p, user, weight, item_id=item)
    two = influences(click, p, user, weight, group_id=user, item_id=item)
    for name in METRICS:
        np.testing.assert_array_equal(one[name].per_user, two[name].per_user)
        np.testing.assert_array_equal(one[name].items.per_item, two[name].items.per_item)


def test_metrics_count_users_if_groups_are_finer():
    click, p = [1, 0, 1, 0, 1, 1], [0.9, 0.1, 0.2, 0.8, 0.5, 0.5]
    user, group = [1, 1, 1, 1, 2, 2], [10, 10, 11, 12, 20, 21]
    found = evaluate(click, p, user, group_id=group)
    assert (found.users, found.evaluable_users, found.evaluable_impressions) == (2, 1, 2)
    assert found.gauc == found.gauc_users == 1.0


@pytest.mark.parametrize(
    "change",
    [{"item_id": [1, 2]}, {"group_id": [1, 2]}, {"group_id": [5, 5, 5, 5]}, {"user_id": [1, 1]}],
)
def test_unfit_ids(change):
    given = {"user_id": [1, 1, 2, 2], "group_id": [1, 1, 2, 2], "item_id": [3, 4, 3, 4]}
    with pytest.raises(DataError):
        influences([1, 0, 1, 0], [0.9, 0.1, 0.8, 0.2], **{**given, **change})
    if "user_id" not in change:
        with pytest.raises(DataError):
            compare_predictions(
                [1, 0, 1, 0], [1, 1, 2, 2], [0.9, 0.1, 0.8, 0.2], [0.9, 0.2, 0.2, 0.8], **change
            )


def test_items_may_be_strings():
    click, p, user, item, _ = _log()
    other = np.random.default_rng(1).permutation(p)
    names = np.array([f"item {i:03}" for i in item])
    found = compare_predictions(click, user, p, other, item_id=names)
    known = compare_predictions(click, user, p, other, item_id=item)
    assert found.variance.with_items
    assert found.high == pytest.approx(known.high, rel=0.05)
