"""Below and above a CTR model: a simple rule it has to beat, and what no model can surpass."""

from __future__ import annotations

import numpy as np

from ctrbench.metrics import evaluate
from ctrbench.schema import Impressions, Metrics
from ctrbench.seeding import stream

FOLDS = 5
PRIOR_IMPRESSIONS = 20  # with which an item's or user's rate is pulled to the overall CTR


def reference_metrics(log: Impressions) -> Metrics:
    """Test metrics of a logistic regression on two numbers, fitted on `train`.

    The numbers: the item's mean click in `train` (for training rows from the other folds, so that
    no row sees its own click), and the user's share of clicks among earlier impressions.
    """
    from sklearn.linear_model import LogisticRegression

    train, test = log.rows("train"), log.rows("test")
    click = np.asarray(log.click[train], np.float64)
    weight = _weight(log, train)
    mean = float(np.average(click, weights=weight))
    fold = stream(0, "reference_folds").integers(0, FOLDS, len(click))
    item = log.item_id[train]
    item_mean = np.empty(len(click))
    for part in range(FOLDS):
        other = fold != part
        rates = _rates(item[other], click[other], weight[other], log.item_rows)
        item_mean[~other] = rates[item[~other]]
    model = LogisticRegression(C=1e6, solver="newton-cholesky")  # few numbers, many rows
    model.fit(np.stack([item_mean, _like_rate(log, train, mean)], axis=1), click, weight)
    rates = _rates(item, click, weight, log.item_rows)
    numbers = np.stack([rates[log.item_id[test]], _like_rate(log, test, mean)], axis=1)
    p_click = model.predict_proba(numbers)[:, 1]
    test_weight = None if log.weight is None else _weight(log, test)
    group = None if log.group is None else log.group[test]
    return evaluate(log.click[test], p_click, log.user_id[test], test_weight, group)


def ceiling_metrics(log: Impressions) -> Metrics | None:
    """Test metrics of the probability that clicks were drawn from; None of a real log."""
    if log.p_true is None:
        return None
    test = log.rows("test")
    weight = None if log.weight is None else _weight(log, test)
    group = None if log.group is None else log.group[test]
    return evaluate(log.click[test], log.p_true[test], log.user_id[test], weight, group)


def _rates(item: np.ndarray, click: np.ndarray, weight: np.ndarray, rows: int) -> np.ndarray:
    """(V,) smoothed share of clicks of each item."""
    shown = np.bincount(item, weights=weight, minlength=rows)
    clicked = np.bincount(item, weights=weight * click, minlength=rows)
    mean = clicked.sum() / shown.sum()
    return (clicked + PRIOR_IMPRESSIONS * mean) / (shown + PRIOR_IMPRESSIONS)


def _like_rate(log: Impressions, rows: slice, mean: float) -> np.ndarray:
    """Smoothed share of clicks among the user's earlier impressions; the mean without times."""
    if log.prior_impressions is None or log.prior_clicks is None:
        return np.full(rows.stop - rows.start, mean)
    prior = log.prior_clicks[rows] + PRIOR_IMPRESSIONS * mean
    return prior / (log.prior_impressions[rows] + PRIOR_IMPRESSIONS)


def _weight(log: Impressions, rows: slice) -> np.ndarray:
    return np.ones(rows.stop - rows.start) if log.weight is None else log.weight[rows]
