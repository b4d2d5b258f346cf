import numpy as np
import pytest

from ctrbench.errors import ConfigError, DataError
from ctrbench.metrics import auc, gauc
from ctrbench.stats import compare_predictions, parse_points


def _models(seeds: int = 3, rows: int = 1_200, users: int = 80):
    rng = np.random.default_rng(0)
    user, click = rng.integers(0, users, rows), rng.integers(0, 2, rows)
    ours, theirs = (
        np.clip(0.5 + sign * (click - 0.5) + rng.normal(0, 0.5, (seeds, rows)), 0.01, 0.99)
        for sign in (0.3, 0.2)
    )
    return click, user, ours, theirs


@pytest.mark.parametrize(("metric", "slow"), [("gauc", gauc), ("auc", lambda c, p, u: auc(c, p))])
def test_estimate_is_the_mean_difference(metric, slow):
    click, user, ours, theirs = _models()
    found = compare_predictions(click, user, ours, theirs, metric)
    each = [slow(click, a, user) - slow(click, b, user) for a, b in zip(ours, theirs, strict=True)]
    assert found.estimate == pytest.approx(np.mean(each))
    assert found.seeds == (0, 1, 2)
    assert found.low < found.estimate < found.high


def test_reversed_arms_flip_every_sign():
    click, user, ours, theirs = _models()
    one = compare_predictions(click, user, ours, theirs)
    other = compare_predictions(click, user, theirs, ours)
    assert (one.estimate, one.low) == (pytest.approx(-other.estimate), pytest.approx(-other.high))


def test_duplicated_impressions_do_not_change_the_interval():
    click, user, ours, theirs = _models()
    once = compare_predictions(click, user, ours, theirs)
    twice = compare_predictions(
        np.tile(click, 2), np.tile(user, 2), np.tile(ours, 2), np.tile(theirs, 2)
    )
    assert (twice.low, twice.high) == (pytest.approx(once.low), pytest.approx(once.high))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p_click": [0.1, 0.2]}, "2 predictions, 4 clicks, 4 users"),
        ({"user_id": [1, 1, 2]}, "4 predictions, 4 clicks, 3 users"),
        ({"p_reference": [0.3] * 4}, "p_reference of seed 0 "),
        ({"p_click": [0.1, np.nan, 0.2, 0.3]}, "p_click .*row 1: nan"),
        ({"metric": "recall"}, "no metric 'recall'; known: auc, gauc"),
        ({"user_id": [1, 2, 3, 4]}, "gauc "),
    ],
)
def test_unfit_predictions(change, message):
    given = {
        "click": [1, 0, 1, 0],
        "user_id": [1, 1, 2, 2],
        "p_click": [0.9, 0.1, 0.8, 0.2],
        "p_reference": [0.9, 0.3, 0.2, 0.8],
    }
    with pytest.raises(DataError, match=message):
        compare_predictions(**{**given, **change})


@pytest.mark.parametrize("text", ["0.05", "-0.1pp", "5 %", "pp", ""])
def test_points_require_their_unit(text):
    with pytest.raises(ConfigError, match=r"margin .* such as 0.05pp"):
        parse_points(text, "margin")
