"""`gauc_clicks`: the click-weighted mean of per-user AUC."""

from __future__ import annotations

from ctrbench.metrics._gauc import WeightedGauc


class GaucByClicks(WeightedGauc):
    """GAUC with users weighted by clicks."""

    title = "GAUC weighted by clicks"
    weighting = "clicks"
