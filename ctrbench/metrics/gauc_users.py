"""`gauc_users`: the mean of per-user AUC, every user alike."""

from __future__ import annotations

from ctrbench.metrics._gauc import WeightedGauc


class GaucByUsers(WeightedGauc):
    """Users count once."""

    title = "GAUC weighted by users"
    weighting = "users"
