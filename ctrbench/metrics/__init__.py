"""Metrics of predictions: one metric per file, found by listing.

A metric is the one public subclass of `Metric` in its file, and the file's name is its name. Values
are exact: ties count one half, and only `calibration_error` has bins. A sample weight is the number
of impressions that a row represents; without weights every row counts once. `RetrievalAUROC` of
torchmetrics is *not* GAUC, because it gives all users the same weight.
"""

from ctrbench.metrics._base import (
    PACKAGE,
    Metric,
    comparable,
    every,
    find,
    judged,
    names,
    on_request,
    with_influence,
)
from ctrbench.metrics._evaluating import evaluate, influences
from ctrbench.metrics._grouped import GroupedAuc, Weighting, grouped_auc, tied_pairs
from ctrbench.metrics._influence import (
    PAIR_BUCKETS,
    Influence,
    Items,
    ItemSums,
    effective_size,
    leverage,
    pair_buckets,
    standard_error,
)
from ctrbench.metrics._ranked import RankedAuc
from ctrbench.metrics._runs import distinct
from ctrbench.metrics._scored import Scored

# These functions have the name of their file. Python binds the file first, then the function.
from ctrbench.metrics.auc import auc
from ctrbench.metrics.calibration_error import calibration_error
from ctrbench.metrics.gauc import gauc
from ctrbench.metrics.hit_rate import hit_rate
from ctrbench.metrics.log_loss import log_loss
from ctrbench.metrics.ndcg import ndcg
from ctrbench.metrics.predicted_over_observed import predicted_over_observed

__all__ = [
    "PACKAGE",
    "PAIR_BUCKETS",
    "GroupedAuc",
    "Influence",
    "ItemSums",
    "Items",
    "Metric",
    "RankedAuc",
    "Scored",
    "Weighting",
    "auc",
    "calibration_error",
    "comparable",
    "distinct",
    "effective_size",
    "evaluate",
    "every",
    "find",
    "gauc",
    "grouped_auc",
    "hit_rate",
    "influences",
    "judged",
    "leverage",
    "log_loss",
    "names",
    "ndcg",
    "on_request",
    "pair_buckets",
    "predicted_over_observed",
    "standard_error",
    "tied_pairs",
    "with_influence",
]
