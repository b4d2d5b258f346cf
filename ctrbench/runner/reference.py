"""A lower and an upper reference for CTR models: a simple rule and the true click probability."""

from __future__ import annotations

import numpy as np

from ctrbench.metrics import evaluate
from ctrbench.schema import Impressions, Metrics
from ctrbench.seeding import stream

FOLDS = 5
PRIOR_IMPRESSIONS = 20  # weight of the overall CTR in an item's or user's smoothed click rate


def reference_metrics(log: Impressions) -> Metrics:
    """Return the test metrics of a logistic regression on two features, fitted on `train`.

    The features are the item's click rate in `train` and the user's click rate over earlier
    impressions. For training rows, the item's click rate is computed on the other folds, so that
    no row contributes to its own feature.
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
    """Return the test metrics of the true click probability of a simulated log, else None."""
    if log.p_true is None:
        return None
    test = log.rows("test")
    weight = None if log.weight is None else _weight(log, test)
    group = None if log.group is None else log.group[test]
    return evaluate(log.click[test], log.p_true[test], log.user_id[test], weight, group)


def _rates(item: np.ndarray, click: np.ndarray, weight: np.ndarray, rows: int) -> np.ndarray:
    """Return the (V,) smoothed click rate of each item."""
    shown = np.bincount(item, weights=weight, minlength=rows)
    clicked = np.bincount(item, weights=weight * click, minlength=rows)
    mean = clicked.sum() / shown.sum()
    return (clicked + PRIOR_IMPRESSIONS * mean) / (shown + PRIOR_IMPRESSIONS)


def _like_rate(log: Impressions, rows: slice, mean: float) -> np.ndarray:
    """Return the user's smoothed click rate over earlier impressions; `mean` without times."""
    if log.prior_impressions is None or log.prior_clicks is None:
        return np.full(rows.stop - rows.start, mean)
    prior = log.prior_clicks[rows] + PRIOR_IMPRESSIONS * mean
    return prior / (log.prior_impressions[rows] + PRIOR_IMPRESSIONS)


def _weight(log: Impressions, rows: slice) -> np.ndarray:
    return np.ones(rows.stop - rows.start) if log.weight is None else log.weight[rows]
