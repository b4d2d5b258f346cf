"""NDCG and hit rate of impression lists against scikit-learn, torchmetrics and slow loops."""

from itertools import pairwise, permutations

import numpy as np
import pytest
import torch
from sklearn.metrics import ndcg_score
from torchmetrics.retrieval import RetrievalHitRate, RetrievalNormalizedDCG

from ctrbench.errors import DataError, UnknownNameError
from ctrbench.metrics import Scored, evaluate, find, hit_rate, influences, ndcg, standard_error
from tests.metrics.made import EXACT


def _lists(levels: int, lists: int = 80, seed: int = 0):
    """Return clicks, predictions with `levels` values, list ids with gaps, and users of lists."""
    draw = np.random.default_rng(seed)
    of = np.repeat(np.arange(lists) * 3 - 5, draw.integers(1, 13, lists))
    click = (draw.random(len(of)) < 0.3).astype(np.int8)
    p = draw.integers(0, levels, len(of)) / levels
    shuffled = draw.permutation(len(of))
    of, click, p = of[shuffled], click[shuffled], p[shuffled]
    return click, p.astype(np.float32), of, (of + 5) // 3 % 23


def _both_classes(click, of):
    return [one for one in np.unique(of) if 0 < click[of == one].mean() < 1]


@pytest.mark.parametrize("k", [1, 3, 10, 50])
@pytest.mark.parametrize("levels", [2, 5, 10**7])
def test_ndcg_by_scikit_learn_with_ties(k, levels):
    click, p, of, _ = _lists(levels)
    kept = _both_classes(click, of)
    expected = [ndcg_score([click[of == one]], [p[of == one]], k=k) for one in kept]
    assert ndcg(click, p, of, k) == pytest.approx(np.mean(expected), **EXACT)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_both_by_torchmetrics_without_ties(k):
    click, p, of, _ = _lists(10**7)
    kept = np.isin(of, _both_classes(click, of))
    arrays = torch.tensor(p[kept]), torch.tensor(click[kept].astype(bool)), torch.tensor(of[kept])
    gain, hits = (kind(top_k=k)(*arrays) for kind in (RetrievalNormalizedDCG, RetrievalHitRate))
    assert ndcg(click, p, of, k) == pytest.approx(float(gain), abs=1e-6)
    assert hit_rate(click, p, of, k) == pytest.approx(float(hits), abs=1e-6)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 9])
def test_hit_rate_of_tied_rows_over_all_orders(k):
    draw = np.random.default_rng(k)
    of, click = np.repeat(np.arange(12), 5), (draw.random(60) < 0.3).astype(int)
    p = draw.integers(0, 2, 60)
    expected = []
    for one in _both_classes(click, of):
        rows = list(zip(p[of == one], click[of == one], strict=True))
        orders = [o for o in permutations(rows) if all(a[0] >= b[0] for a, b in pairwise(o))]
        expected.append(np.mean([any(c for _, c in order[:k]) for order in orders]))
    assert hit_rate(click, p, of, k) == pytest.approx(np.mean(expected), **EXACT)


def test_a_list_has_the_mean_weight_of_its_rows():
    click, p, of = [0, 1, 1, 0], [0.9, 0.1, 0.8, 0.2], ["a", "a", "b", "b"]
    assert hit_rate(click, p, of, 1, [1, 3, 5, 7]) == pytest.approx(6 / 8)
    assert ndcg(click, p, of, 1, [1, 3, 5, 7]) == pytest.approx(6 / 8)


@pytest.mark.parametrize("name", ["ndcg@3", "hit_rate@2"])
def test_error_of_a_paired_difference_against_a_bootstrap_of_users(name):
    click, p, of, user = _lists(10**7, lists=600)
    other = p + np.random.default_rng(1).normal(0, 0.2, len(p)).astype(np.float32)
    wanted = [find(name)]
    one, two = (influences(click, x, user, None, of, wanted=wanted)[name] for x in (p, other))
    assert one.value == evaluate(click, p, user, None, of, wanted).value(name)
    assert one.per_user.sum() == pytest.approx(0, abs=0.01)
    assert one.items is None
    function = {"ndcg@3": ndcg, "hit_rate@2": hit_rate}[name]
    k = int(name[-1])
    values = {
        u: [
            [function(click[own], x[own], of[own], k) for own in (of == one for one in kept)]
            for x in (p, other)
        ]
        for u in np.unique(user)
        if (kept := _both_classes(click[user == u], of[user == u]))
    }
    draw, users, drawn = np.random.default_rng(0), list(values), []
    for _ in range(2_000):
        chosen = draw.choice(users, len(users))
        ours, theirs = (np.concatenate([values[u][arm] for u in chosen]) for arm in (0, 1))
        drawn.append(ours.mean() - theirs.mean())
    assert standard_error(one.per_user - two.per_user) == pytest.approx(np.std(drawn), rel=0.15)


def test_groups_that_are_users_are_no_lists():
    scored = Scored.of([1, 0, 1, 0], [0.9, 0.1, 0.2, 0.8], [1, 1, 2, 2])
    for name in ("ndcg", "hit_rate"):
        assert find(name).value(scored) is None
        assert find(name).influence(scored) is None
    one_class = Scored.of([1, 1], [0.9, 0.1], [1, 1], group_id=[1, 1])
    assert find("ndcg").value(one_class) is None


def test_names_and_cut_offs():
    assert [find(name).title for name in ("ndcg", "ndcg@5", "hit_rate@1")] == [
        "NDCG@10",
        "NDCG@5",
        "hit rate@1",
    ]
    with pytest.raises(UnknownNameError) as raised:
        find("ndcg@0")
    assert str(raised.value) == (
        "no metric 'ndcg@0'; known: auc, calibration_error, gauc, gauc_clicks, gauc_users, "
        "hit_rate, log_loss, ndcg, predicted_over_observed. Did you mean 'ndcg'? A cut-off is a "
        "number from 1 to 9999: ndcg@5."
    )
    with pytest.raises(UnknownNameError, match="no metric 'gauc@5'"):
        find("gauc@5")


def test_unfit_lists():
    with pytest.raises(DataError) as raised:
        ndcg([1, 1, 0], [0.1, 0.2, 0.3], [1, 1, 2])
    assert str(raised.value) == "none of 2 impression lists has both a click and a non-click."
    with pytest.raises(DataError) as raised:
        hit_rate([1, 0], [0.1, 0.2], [1, 1], k=0)
    assert str(raised.value) == "k is the number of places that count, at least 1; it is 0."
