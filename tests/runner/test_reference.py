from dataclasses import replace

import numpy as np
import pytest

from ctrbench.metrics import auc, gauc
from ctrbench.runner.reference import ceiling_metrics
from tests.conftest import make_impressions


def test_ceiling_is_the_metrics_of_the_true_probability(impressions):
    assert ceiling_metrics(impressions) is None
    p_true = np.random.default_rng(0).random(len(impressions.click)).astype(np.float32)
    found = ceiling_metrics(replace(impressions, p_true=p_true))
    test = impressions.rows("test")
    assert found is not None
    columns = impressions.click[test], p_true[test]
    assert found.auc == auc(*columns)
    assert found.gauc == gauc(*columns, impressions.user_id[test])


def test_weights_are_used(impressions):
    log = make_impressions()
    weight = np.random.default_rng(1).uniform(1, 3, len(log.click)).astype(np.float32)
    weighted = replace(log, weight=weight, p_true=np.full(len(log.click), 0.5, np.float32))
    found = ceiling_metrics(weighted)
    assert found is not None
    test = log.rows("test")
    observed = np.average(log.click[test], weights=weight[test])
    assert found.predicted_over_observed == pytest.approx(0.5 / observed)
