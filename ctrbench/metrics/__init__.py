"""HOW good predictions are: one metric per file, found by listing.

A metric is the one public subclass of `Metric` in its file; the file's name is its name. Values are
exact (no bins, ties count one half). Sample weights say how many impressions a row stands for;
without them every row counts once. torchmetrics' `RetrievalAUROC` is *not* GAUC: it weights every
user alike.
"""

from ctrbench.metrics._base import PACKAGE, Metric, every, find, judged, names, with_influence
from ctrbench.metrics._evaluating import evaluate, influences
from ctrbench.metrics._grouped import GroupedAuc, Weighting, grouped_auc, tied_pairs
from ctrbench.metrics._influence import (
    PAIR_BUCKETS,
    Influence,
    Items,
    pair_buckets,
    standard_error,
    worth_of,
)
from ctrbench.metrics._ranked import RankedAuc
from ctrbench.metrics._scored import Scored

# Functions named like their file: the import of the file comes first, so that the name stays theirs
from ctrbench.metrics.auc import auc
from ctrbench.metrics.gauc import gauc
from ctrbench.metrics.log_loss import log_loss
from ctrbench.metrics.predicted_over_observed import predicted_over_observed

__all__ = [
    "PACKAGE",
    "PAIR_BUCKETS",
    "GroupedAuc",
    "Influence",
    "Items",
    "Metric",
    "RankedAuc",
    "Scored",
    "Weighting",
    "auc",
    "evaluate",
    "every",
    "find",
    "gauc",
    "grouped_auc",
    "influences",
    "judged",
    "log_loss",
    "names",
    "pair_buckets",
    "predicted_over_observed",
    "standard_error",
    "tied_pairs",
    "with_influence",
    "worth_of",
]
