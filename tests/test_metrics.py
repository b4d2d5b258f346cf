import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from ctrbench.errors import DataError
from ctrbench.metrics import (
    RankedAuc,
    auc,
    evaluate,
    gauc,
    grouped_auc,
    log_loss,
    predicted_over_observed,
)

EXACT = {"rel": 0, "abs": 1e-12}


def random_log(rows: int, users: int, levels: int, seed: int = 0):
    """Clicks, tied p_click, user ids with gaps, and weights over six orders of magnitude."""
    draw = np.random.default_rng(seed)
    click = (draw.random(rows) < 0.3).astype(np.int8)
    p = draw.integers(0, levels, rows) / levels
    user = draw.integers(0, users, rows) ** 2 - 7
    return click, p, user, 10 ** draw.uniform(-3, 3, rows)


def loop_gauc(click, p, user, weighting, weight=None) -> float:
    """The slow, obvious way."""
    weight = np.ones(len(click)) if weight is None else weight
    total = weights = 0.0
    for one in np.unique(user):
        rows = user == one
        if 0 < click[rows].sum() < rows.sum():
            w = {
                "impressions": weight[rows].sum(),
                "clicks": (weight * click)[rows].sum(),
                "users": 1,
            }[weighting]
            total += w * roc_auc_score(click[rows], p[rows], sample_weight=weight[rows])
            weights += w
    return total / weights


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("levels", [3, 50, 10**6])
def test_auc_equals_scikit_learn(levels, dtype):
    click, p, _, weight = random_log(3000, 1, levels)
    p = p.astype(dtype)
    assert auc(click, p) == pytest.approx(roc_auc_score(click, p), **EXACT)
    expected = roc_auc_score(click, p, sample_weight=weight)
    assert auc(click, p, weight) == pytest.approx(expected, **EXACT)


@pytest.mark.parametrize("weighting", ["impressions", "clicks", "users"])
@pytest.mark.parametrize("weighted", [False, True])
def test_gauc_equals_a_loop_over_users(weighting, weighted):
    click, p, user, weight = random_log(1000, 150, 20)
    weight = weight if weighted else None
    expected = loop_gauc(click, p, user, weighting, weight)
    assert gauc(click, p, user, weighting, weight) == pytest.approx(expected, **EXACT)


def test_auc_by_hand():
    # pairs: .8 over .8 ties, .8 over .2 wins, .1 loses twice
    assert auc([1, 0, 0, 1], [0.8, 0.8, 0.2, 0.1]) == 1.5 / 4


def test_weighted_auc_by_hand():
    # the pair that wins weighs 3 x 1, the pair that loses 2 x 1
    assert auc([1, 0, 1], [0.9, 0.5, 0.1], [3, 1, 2]) == pytest.approx(0.6)


def test_a_weight_of_two_is_the_row_twice():
    click, p, user, _ = random_log(200, 10, 9)
    twice = np.repeat(np.arange(200), np.where(np.arange(200) % 3 == 0, 2, 1))
    weight = np.where(np.arange(200) % 3 == 0, 2.0, 1.0)
    for weighting in ("impressions", "clicks", "users"):
        expected = gauc(click[twice], p[twice], user[twice], weighting)
        assert gauc(click, p, user, weighting, weight) == pytest.approx(expected, **EXACT)


def test_three_weightings_by_hand():
    # user 1: AUC 1, 2 impressions, 1 click; user 2: AUC 1/2, 4 impressions, 2 clicks
    log = ([1, 0, 1, 1, 0, 0], [0.9, 0.1, 0.9, 0.1, 0.5, 0.5], [1, 1, 2, 2, 2, 2])
    assert gauc(*log) == pytest.approx((2 * 1 + 4 * 0.5) / 6)
    assert gauc(*log, "clicks") == pytest.approx((1 * 1 + 2 * 0.5) / 3)
    assert gauc(*log, "users") == pytest.approx(0.75)


def test_one_class_users_are_left_out_and_counted():
    found = grouped_auc([1, 0, 1, 1, 0], [0.9, 0.1, 0.3, 0.2, 0.1], [5, 5, 6, 6, 7])
    assert found.user_id.tolist() == [5, 6, 7]
    assert found.auc.tolist()[0] == 1
    assert found.evaluable.tolist() == [True, False, False]
    assert found.impressions.tolist() == [2, 2, 1]
    assert found.clicks.tolist() == [1, 2, 0]
    assert (found.share_of_users, found.share_of_impressions) == (1 / 3, 2 / 5)


def test_counts_are_of_rows_and_weights_are_summed():
    found = grouped_auc([1, 0, 1], [0.9, 0.1, 0.3], [1, 1, 2], [0.5, 2, 4])
    assert found.impressions.tolist() == [2, 1]
    assert found.weight.tolist() == [2.5, 4]
    assert found.click_weight.tolist() == [0.5, 4]


@pytest.mark.parametrize(
    "users",
    [
        [-(2**63), -(2**63), 2**63 - 1, 2**63 - 1],
        np.array([0, 0, 2**64 - 1, 2**64 - 1], np.uint64),
        np.array([2**64 - 2, 2**64 - 2, 2**64 - 1, 2**64 - 1], np.uint64),
        np.array([-128, -128, 127, 127], np.int8),
        ["anna", "anna", "zoé", "zoé"],
        np.array(["anna", "anna", "zoé", "zoé"], object),
    ],
)
def test_any_integers_or_strings_name_users(users):
    found = grouped_auc([1, 0, 0, 1], [0.9, 0.1, 0.9, 0.1], users)
    assert found.user_id.tolist() == [users[0], users[2]]
    assert found.auc.tolist() == [1, 0]


def test_small_users_keep_their_digits_beside_a_huge_weight():
    click, p, user, weight = random_log(500, 40, 8)
    alone = grouped_auc(click, p, user, weight).auc
    with_giant = grouped_auc(
        np.append([1, 0], click), np.append([0.4, 0.6], p), np.append([-9, -9], user),
        np.append([1e15, 1e15], weight),
    ).auc  # fmt: skip
    assert np.allclose(with_giant[1:], alone, rtol=0, atol=1e-12, equal_nan=True)


def test_negative_zero_ties_with_zero():
    assert auc([1, 0], [-0.0, 0.0]) == 0.5


def test_close_doubles_do_not_tie():
    assert auc([1, 0], [0.1 + 1e-15, 0.1]) == 1


def test_scores_beyond_float32_keep_their_order():
    assert auc([0, 1, 0, 1], [-1e300, 1e300, -2e-300, 5.0]) == 1


def test_log_loss_by_hand_and_by_scikit_learn():
    click, p, _, weight = random_log(300, 1, 100)
    p = (p * 0.9 + 0.05).astype(np.float32)
    assert log_loss([1, 0], [0.8, 0.4]) == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)
    expected = sklearn_log_loss(click, p.astype(float), sample_weight=weight)
    assert log_loss(click, p, weight) == pytest.approx(expected, **EXACT)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_of_a_certain_mistake_is_finite(dtype):
    assert log_loss([0, 1], np.array([1, 0], dtype)) == pytest.approx(24 * np.log(2))


def test_predicted_over_observed_by_hand():
    assert predicted_over_observed([1, 0], [0.5, 0.1]) == pytest.approx(0.6)
    assert predicted_over_observed([1, 0], [0.5, 0.1], [1, 3]) == pytest.approx(0.2 / 0.25)


def test_evaluate_gathers_all():
    click, p, user, weight = random_log(300, 20, 9)
    found = evaluate(click, p, user, weight)
    assert found.impressions == 300
    assert found.clicks == click.sum()
    assert found.users == len(np.unique(user))
    assert found.evaluable_impressions <= 300
    assert found.auc == auc(click, p, weight)
    assert found.gauc == gauc(click, p, user, "impressions", weight)
    assert found.gauc_clicks == gauc(click, p, user, "clicks", weight)
    assert found.gauc_users == gauc(click, p, user, "users", weight)
    assert found.log_loss == log_loss(click, p, weight)
    assert found.predicted_over_observed == predicted_over_observed(click, p, weight)


def test_evaluate_says_none_where_a_metric_is_not_defined():
    found = evaluate([0, 0], [0.1, 0.2], [1, 1])
    assert (found.auc, found.gauc, found.predicted_over_observed) == (None, None, None)
    assert found.log_loss is not None
    one_class_users = evaluate([0, 1], [0.1, 0.2], [1, 2])
    assert (one_class_users.auc, one_class_users.gauc) == (1, None)


def test_evaluate_of_nothing():
    found = evaluate([], [], [])
    assert (found.impressions, found.users, found.auc, found.log_loss) == (0, 0, None, None)


@pytest.mark.parametrize(
    ("click", "p", "weight", "message"),
    [
        ([0, 1, 2], [0.1] * 3, None, r"click must be 0 or 1; 1 of 3 rows are not \(row 2: 2\)"),
        ([0, 1], [0.1, np.nan], None, r"p_click must be finite; 1 of 2 rows .*row 1: nan"),
        ([0, 1], [0.1, np.inf], None, "p_click must be finite"),
        ([0, 1], [0.1], None, "lengths differ: click 2, p_click 1"),
        ([0, 1], [[0.1, 0.2]], None, r"p_click must be one-dimensional numbers; .* \(1, 2\)"),
        ([0, 1], ["a", "b"], None, "p_click must be one-dimensional numbers"),
        ([0, 1], [0.1, 0.2], [1, 0], "weight must be finite and above 0; 1 of 2"),
        ([0, 1], [0.1, 0.2], [1], "lengths differ"),
        ([0, np.nan], [0.1, 0.2], [1, -1], "(?s)click must be 0 or 1.*weight must be"),
        ([1, 1], [0.1, 0.2], None, "AUC needs a click and a non-click; 2 of 2"),
        ([], [], None, "AUC needs a click and a non-click; 0 of 0"),
    ],
)
def test_unfit_arrays_are_refused(click, p, weight, message):
    with pytest.raises(DataError, match=message):
        auc(click, p, weight)


@pytest.mark.parametrize(
    ("users", "message"),
    [
        ([1], "one entry per row: 2"),
        ([1.0, 2.0], "user_id must be integers or strings; it is float64"),
        ([1, None], "user_id must be integers or strings; it is object"),
        ([1, 2], "none of 2 users has both"),
    ],
)
def test_unfit_users_are_refused(users, message):
    with pytest.raises(DataError, match=message):
        gauc([0, 1], [0.1, 0.2], users)


def test_unknown_weighting_is_refused():
    with pytest.raises(DataError, match="known: impressions, clicks, users"):
        gauc([0, 1], [0.1, 0.2], [1, 1], "positives")  # pyright: ignore[reportArgumentType]


def test_probabilities_must_be_probabilities():
    with pytest.raises(DataError, match=r"p_click must be a probability in \[0, 1\].*row 1: 1.5"):
        log_loss([0, 1], [0.1, 1.5])
    with pytest.raises(DataError, match="at least one row"):
        log_loss([], [])
    with pytest.raises(DataError, match="none of 2 rows is one"):
        predicted_over_observed([0, 0], [0.1, 0.5])


logs = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        arrays.arrays(np.int8, n, elements=st.integers(0, 1)),
        arrays.arrays(np.int64, n, elements=st.integers(0, 6)),
        arrays.arrays(np.int64, n, elements=st.integers(-3, 3)),
        arrays.arrays(np.float64, n, elements=st.floats(0.01, 100)),
    )
)


@given(logs)
def test_strictly_increasing_map_changes_nothing(log):
    click, p, user, weight = log
    before, after = (grouped_auc(click, x, user, weight).auc for x in (p, np.exp(p) - 9))
    assert np.array_equal(before, after, equal_nan=True)


@given(logs)
def test_gauc_of_one_user_is_the_auc(log):
    click, p, _, weight = log
    if 0 < click.sum() < len(click):
        one = np.full(len(click), 42)
        expected = auc(click, p, weight)
        assert gauc(click, p, one, "clicks", weight) == pytest.approx(expected, **EXACT)


@given(logs, st.randoms(use_true_random=False))
def test_order_of_rows_is_irrelevant(log, random):
    order = random.sample(range(len(log[0])), len(log[0]))
    before, after = grouped_auc(*log).auc, grouped_auc(*(column[order] for column in log)).auc
    assert np.allclose(before, after, rtol=0, atol=1e-12, equal_nan=True)


@given(logs)
def test_complement(log):
    click, p, user, weight = log
    whole = grouped_auc(click, p, user, weight).auc
    for other in (
        1 - grouped_auc(1 - click, p, user, weight).auc,
        1 - grouped_auc(click, -p, user, weight).auc,
    ):
        assert np.allclose(whole, other, rtol=0, atol=1e-12, equal_nan=True)


@settings(deadline=None)
@given(logs)
def test_every_user_equals_the_pairs_counted_one_by_one(log):
    click, p, user, weight = log
    found = grouped_auc(*log)
    for one, value in zip(found.user_id, found.auc, strict=True):
        mine = [(c, x, w) for c, x, u, w in zip(click, p, user, weight, strict=True) if u == one]
        pairs = [
            (w * v, (x > y) + (x == y) / 2)
            for c, x, w in mine
            for d, y, v in mine
            if c == 1 and d == 0
        ]
        if pairs:
            expected = sum(w * won for w, won in pairs) / sum(w for w, _ in pairs)
            assert value == pytest.approx(expected, **EXACT)
        else:
            assert np.isnan(value)


def test_a_million_random_impressions_are_at_chance():
    draw = np.random.default_rng(0)
    log = (
        draw.integers(0, 2, 10**6),
        draw.random(10**6, dtype=np.float32),
        draw.integers(0, 50_000, 10**6),
    )
    assert gauc(*log) == pytest.approx(0.5, abs=0.01)


def test_running_click_rate_has_a_gauc_below_one_half_on_coin_flips():
    """A trap of GAUC, not of ours: what follows a user's own outcomes is judged within the user.

    After a click the rate is up, and among the remaining impressions of that user fewer are
    clicks. Nothing can be known of a coin, and pooled AUC says so.
    """
    rng = np.random.default_rng(0)
    users, before, test = 3000, 32, 8
    click = rng.integers(0, 2, (users, before + test))
    rate = (click.cumsum(axis=1) - click) / np.maximum(np.arange(before + test), 1)
    click, rate = click[:, before:].ravel(), rate[:, before:].ravel()
    user_id = np.repeat(np.arange(users), test)
    assert abs(auc(click, rate) - 0.5) < 0.01
    assert 0.2 < gauc(click, rate, user_id) < 0.24


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ranked_auc_of_a_resampling_is_that_of_its_rows(dtype):
    rng = np.random.default_rng(5)
    click, p = rng.random(400) < 0.3, np.round(rng.random(400), 2).astype(dtype)
    ranked = RankedAuc(click, p)
    for _ in range(5):
        times = rng.multinomial(400, np.full(400, 1 / 400))
        rows = np.repeat(np.arange(400), times)
        assert ranked.auc(times) == pytest.approx(roc_auc_score(click[rows], p[rows]), **EXACT)
    assert np.isnan(ranked.auc(click.astype(float)))


@pytest.mark.parametrize("kind", [bool, np.int8, np.int64, float])
def test_ranked_auc_takes_clicks_of_any_kind(kind):
    click, p = np.array([1, 0, 1, 0], kind), np.array([0.9, 0.1, 0.4, 0.4])
    assert RankedAuc(click, p).auc(np.ones(4)) == 0.875
    with pytest.raises(DataError, match="p_click must be finite; 1 of 4"):
        RankedAuc(click, np.array([0.9, np.nan, 0.4, 0.4]))
