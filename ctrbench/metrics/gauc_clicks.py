"""`gauc_clicks`: the mean of per-user AUC, weighted by clicks."""

from __future__ import annotations

from ctrbench.metrics._gauc import WeightedGauc


class GaucByClicks(WeightedGauc):
    """Users count by their clicks."""

    title = "GAUC weighted by clicks"
    weighting = "clicks"
