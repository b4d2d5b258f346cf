"""Paired differences of two arms, with intervals that account for users, items and seeds."""

from ctrbench.metrics import Influence, influences, standard_error
from ctrbench.stats.contrast import (
    FEWEST_EFFECTIVE_USERS,
    FEWEST_ITEMS,
    FEWEST_USERS,
    Contrast,
    Measured,
    Variance,
    pair,
)
from ctrbench.stats.family import Inference, Verdict, infer
from ctrbench.stats.fieller import Share, share_of_attainable
from ctrbench.stats.points import parse_points
from ctrbench.stats.power import Need, need
from ctrbench.stats.predictions import compare_predictions
from ctrbench.stats.seeds import Delta, paired_delta
from ctrbench.stats.student import CONFIDENCE, SIGNIFICANCE

__all__ = [
    "CONFIDENCE",
    "FEWEST_EFFECTIVE_USERS",
    "FEWEST_ITEMS",
    "FEWEST_USERS",
    "SIGNIFICANCE",
    "Contrast",
    "Delta",
    "Inference",
    "Influence",
    "Measured",
    "Need",
    "Share",
    "Variance",
    "Verdict",
    "compare_predictions",
    "infer",
    "influences",
    "need",
    "pair",
    "paired_delta",
    "parse_points",
    "share_of_attainable",
    "standard_error",
]
