import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ctrbench.metrics import auc
from tests.metrics.made import EXACT, random_log


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("levels", [3, 50, 10**6])
def test_auc_equals_scikit_learn(levels, dtype):
    click, p, _, weight = random_log(3000, 1, levels)
    p = p.astype(dtype)
    assert auc(click, p) == pytest.approx(roc_auc_score(click, p), **EXACT)
    expected = roc_auc_score(click, p, sample_weight=weight)
    assert auc(click, p, weight) == pytest.approx(expected, **EXACT)


def test_auc_by_hand():
    # pairs: .8 over .8 ties, .8 over .2 wins, .1 loses twice
    assert auc([1, 0, 0, 1], [0.8, 0.8, 0.2, 0.1]) == 1.5 / 4


def test_weighted_auc_by_hand():
    # the pair that wins weighs 3 x 1, the pair that loses 2 x 1
    assert auc([1, 0, 1], [0.9, 0.5, 0.1], [3, 1, 2]) == pytest.approx(0.6)


def test_negative_zero_ties_with_zero():
    assert auc([1, 0], [-0.0, 0.0]) == 0.5


def test_close_doubles_do_not_tie():
    assert auc([1, 0], [0.1 + 1e-15, 0.1]) == 1


def test_scores_outside_float32_keep_their_order():
    assert auc([0, 1, 0, 1], [-1e300, 1e300, -2e-300, 5.0]) == 1
