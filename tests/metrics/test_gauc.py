import numpy as np
import pytest
from hypothesis import given
from sklearn.metrics import roc_auc_score

from ctrbench.errors import DataError
from ctrbench.metrics import auc, gauc
from tests.metrics.made import EXACT, logs, random_log


def loop_gauc(click, p, user, weighting, weight=None) -> float:
    """Return GAUC by a loop over users."""
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


@pytest.mark.parametrize("weighting", ["impressions", "clicks", "users"])
@pytest.mark.parametrize("weighted", [False, True])
def test_gauc_equals_a_loop_over_users(weighting, weighted):
    click, p, user, weight = random_log(1000, 150, 20)
    weight = weight if weighted else None
    expected = loop_gauc(click, p, user, weighting, weight)
    assert gauc(click, p, user, weighting, weight) == pytest.approx(expected, **EXACT)


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


def test_unknown_weighting_is_refused():
    with pytest.raises(DataError, match="known: impressions, clicks, users"):
        gauc([0, 1], [0.1, 0.2], [1, 1], "positives")  # pyright: ignore[reportArgumentType]


@given(logs)
def test_gauc_of_one_user_is_the_auc(log):
    click, p, _, weight = log
    if 0 < click.sum() < len(click):
        one = np.full(len(click), 42)
        expected = auc(click, p, weight)
        assert gauc(click, p, one, "clicks", weight) == pytest.approx(expected, **EXACT)


def test_a_million_random_impressions_are_at_chance():
    draw = np.random.default_rng(0)
    log = (
        draw.integers(0, 2, 10**6),
        draw.random(10**6, dtype=np.float32),
        draw.integers(0, 50_000, 10**6),
    )
    assert gauc(*log) == pytest.approx(0.5, abs=0.01)


def test_running_click_rate_has_a_gauc_below_one_half_on_coin_flips():
    """A feature that depends on the user's own outcomes biases GAUC, which compares within users.

    After a click the rate is higher, and fewer of the user's remaining impressions are clicks. A
    coin flip is not predictable, which pooled AUC shows.
    """
    rng = np.random.default_rng(0)
    users, before, test = 3000, 32, 8
    click = rng.integers(0, 2, (users, before + test))
    rate = (click.cumsum(axis=1) - click) / np.maximum(np.arange(before + test), 1)
    click, rate = click[:, before:].ravel(), rate[:, before:].ravel()
    user_id = np.repeat(np.arange(users), test)
    assert abs(auc(click, rate) - 0.5) < 0.01
    assert 0.2 < gauc(click, rate, user_id) < 0.24
