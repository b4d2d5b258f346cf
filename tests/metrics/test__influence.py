import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from ctrbench.metrics import Scored, auc, find, gauc, influences, standard_error, with_influence
from ctrbench.metrics._influence import leverage

METRICS = [metric.name for metric in with_influence()]


def _log(seed: int, users: int = 150, rows: int = 3_000):
    """Return a log of users of different sizes and tastes, with tied predictions and weights."""
    rng = np.random.default_rng(seed)
    user = rng.choice(users, rows, p=rng.dirichlet(np.full(users, 1.5))) * 7 + 3
    taste = rng.normal(size=users * 7 + 4)
    logit = rng.normal(size=rows) + taste[user]
    click = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)
    p = np.round(1 / (1 + np.exp(-logit - rng.normal(size=rows))), 2)
    return click, p, user, rng.uniform(0.5, 3, rows)


def _metric(name: str, click, p, user, weight=None) -> float:
    if name == "auc":
        return roc_auc_score(click, p, sample_weight=weight)
    if name == "log_loss":
        return log_loss(click, np.clip(p, 2.0**-24, 1 - 2.0**-24), sample_weight=weight)
    if not name.startswith("gauc"):  # no reference implementation: only the error is tested
        return find(name).value(Scored.of(click, p, user, weight)) or 0.0
    return _average(_of_users(name, click, p, user, weight))


def _of_users(name: str, click, p, user, weight) -> dict[int, tuple[float, float]]:
    """Return AUC and weight of every user with both outcomes."""
    found = {}
    for one in np.unique(user).tolist():
        own = user == one
        if 0 < click[own].sum() < own.sum():
            w = np.ones(own.sum()) if weight is None else weight[own]
            share = {"gauc": w.sum(), "gauc_clicks": (w * click[own]).sum(), "gauc_users": 1.0}
            found[one] = roc_auc_score(click[own], p[own], sample_weight=w), share[name]
    return found


def _average(of_users: dict[int, tuple[float, float]]) -> float:
    values, weights = zip(*of_users.values(), strict=True)
    return float(np.average(values, weights=weights))


def _without_each_user(name: str, click, p, user, weight) -> list[float]:
    """Return the metric without one user at a time; the AUC of a user depends on no other user."""
    users = np.unique(user).tolist()
    if name.startswith("gauc"):
        every = _of_users(name, click, p, user, weight)
        return [_average({u: of for u, of in every.items() if u != one}) for one in users]
    rest = (user != one for one in users)
    return [
        _metric(name, click[r], p[r], user[r], None if weight is None else weight[r]) for r in rest
    ]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", METRICS)
def test_value_and_error_against_leaving_out_one_user_at_a_time(name, weighted):
    click, p, user, weight = _log(0, users=60, rows=1_200)
    weight = weight if weighted else None
    found = influences(click, p, user, weight)[name]
    assert found.value == pytest.approx(_metric(name, click, p, user, weight), abs=1e-12)
    left = _without_each_user(name, click, p, user, weight)
    count = len(left)
    jackknife = np.sqrt((count - 1) / count * np.sum((np.array(left) - np.mean(left)) ** 2))
    assert found.standard_error == pytest.approx(jackknife, rel=0.04)


def test_auc_by_placement_values_of_all_pairs():
    """Each class is centred on its own mean."""
    click, p, user, weight = _log(1, users=20, rows=200)
    click[user <= 30] = 0  # users without a click
    users, value = np.unique(user), auc(click, p, weight)
    expected = dict.fromkeys(users.tolist(), 0.0)
    for i in range(len(p)):
        own, others = click == click[i], click != click[i]
        wins = (p[i] > p[others]) if click[i] else (p[others] > p[i])
        place = np.average(wins + 0.5 * (p[others] == p[i]), weights=weight[others])
        part = weight[own & (user == user[i])].sum() / weight[own].sum()
        parts = [weight[own & (user == u)].sum() / weight[own].sum() for u in users]
        free = 1 - 2 * part + np.dot(parts, parts)
        factor = np.sqrt((len(users) - 1) / len(users) / free)
        expected[int(user[i])] += factor * weight[i] * (place - value) / weight[own].sum()
    found = influences(click, p, user, weight)["auc"]
    np.testing.assert_allclose(found.per_user, list(expected.values()), atol=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_error_of_a_paired_difference_against_a_bootstrap_of_users(name):
    click, p, user, _ = _log(2, users=120, rows=2_400)
    other = np.clip(p + np.random.default_rng(9).normal(0, 0.05, len(p)), 0.01, 0.99)
    one, two = influences(click, p, user)[name], influences(click, other, user)[name]
    rows_of = [np.flatnonzero(user == u) for u in np.unique(user)]
    rng, drawn = np.random.default_rng(0), []
    for _ in range(300):
        chosen = rng.integers(0, len(rows_of), len(rows_of))
        rows = np.concatenate([rows_of[u] for u in chosen])
        names = np.repeat(np.arange(len(chosen)), [len(rows_of[u]) for u in chosen])
        values = [influences(click[rows], x[rows], names)[name].value for x in (p, other)]
        drawn.append(values[0] - values[1])
    assert standard_error(one.per_user - two.per_user) == pytest.approx(np.std(drawn), rel=0.15)


@pytest.mark.parametrize("name", METRICS)
def test_duplicated_impressions_do_not_change_the_error(name):
    click, p, user, weight = _log(3)
    once = influences(click, p, user, weight)[name]
    twice = influences(*(np.tile(column, 2) for column in (click, p, user, weight)))[name]
    np.testing.assert_allclose(twice.per_user, once.per_user, atol=1e-12)


def test_a_user_with_one_class_has_no_influence_on_gauc():
    found = influences([1, 0, 1, 0, 0], [0.9, 0.1, 0.2, 0.8, 0.5], [1, 1, 2, 2, 3])
    assert found["gauc"].per_user[2] == 0
    # users 1 and 2 have AUC 1 and 0, two impressions each: 1/2 * (1 - 1/2) and its negative
    assert found["gauc"].per_user[:2].tolist() == [0.25, -0.25]


def test_undefined_metrics_are_omitted():
    assert influences([0, 0], [0.1, 0.2], [1, 2]).keys() == {"log_loss"}
    assert influences([0, 1], [0.1, 0.2], [1, 2]).keys() == {"log_loss"}  # one user has all clicks
    assert influences([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], [1, 2, 2, 1]).keys() == set(METRICS)
    assert influences(np.zeros(0, int), np.zeros(0), np.zeros(0, int)) == {}


def test_a_single_user_has_no_error():
    found = influences([0, 1], [0.1, 0.2], [5, 5])
    assert np.isnan(found["gauc"].standard_error)
    assert found["gauc"].value == gauc([0, 1], [0.1, 0.2], [5, 5]) == 1


def test_equal_users_have_obuchowski_s_factors():
    """Three users click once each and five never: factors 3 / 2 for clicks and 8 / 7 for others."""
    user = np.repeat(np.arange(8), 4)
    click = ((user < 3) & (np.arange(32) % 4 == 0)).astype(int)
    p = np.random.default_rng(0).random(32)
    found = influences(click, p, user)["auc"].per_user
    clicked, others = np.zeros(8), np.zeros(8)
    yes, no, value = p[click == 1], p[click == 0], auc(click, p)
    for u in range(8):
        own = user == u
        clicked[u] = sum((x > no).mean() - value for x in p[own & (click == 1)]) / len(yes)
        others[u] = sum((yes > x).mean() - value for x in p[own & (click == 0)]) / len(no)
    free = 1 - 2 * 3 / 29 + (3 * 3**2 + 5 * 4**2) / 29**2  # of those with 3 of the 29 others
    yes_part = found[:3] - np.sqrt(7 / 8) * others[:3] / np.sqrt(free)
    assert 8 / 7 * yes_part @ yes_part == pytest.approx(3 / 2 * clicked @ clicked)


def test_a_heavy_user_s_error_is_expected_to_be_the_true_one():
    """Users have one variance, and the first has the weight of 30 others."""
    weight = np.array([30.0, *np.ones(30)])
    part, drawn = weight / weight.sum(), np.random.default_rng(0).normal(size=(4_000, 31))
    values = np.array([np.average(x, weights=weight) for x in drawn])
    squares = [
        standard_error(leverage(part) * part * (x - v)) ** 2
        for x, v in zip(drawn, values, strict=True)
    ]
    assert np.mean(squares) == pytest.approx(np.sum(part**2), rel=0.05)


def test_effective_users_are_those_of_the_rarer_class():
    click, p, user, weight = _log(4)
    heavy = np.where(user == user[0], 50.0, weight)
    for name, found in influences(click, p, user, heavy).items():
        plain = influences(click, p, user, weight)[name]
        assert found.effective_users < plain.effective_users or name == "gauc_users"
    few = (user <= np.unique(user)[2]) & (click == 1)  # three users click
    assert influences(few.astype(int), p, user)["auc"].effective_users <= 3
    assert influences(few.astype(int), p, user)["log_loss"].effective_users > 5
