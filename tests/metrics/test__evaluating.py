import numpy as np

from ctrbench.metrics import auc, evaluate, gauc, log_loss, predicted_over_observed
from tests.metrics.made import random_log


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


def test_evaluate_returns_none_for_undefined_metrics():
    found = evaluate([0, 0], [0.1, 0.2], [1, 1])
    assert (found.auc, found.gauc, found.predicted_over_observed) == (None, None, None)
    assert found.log_loss is not None
    one_class_users = evaluate([0, 1], [0.1, 0.2], [1, 2])
    assert (one_class_users.auc, one_class_users.gauc) == (1, None)


def test_evaluate_of_nothing():
    found = evaluate([], [], [])
    assert (found.impressions, found.users, found.auc, found.log_loss) == (0, 0, None, None)
