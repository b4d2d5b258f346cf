"""`gauc_users`: the unweighted mean of per-user AUC."""

from __future__ import annotations

from ctrbench.metrics._gauc import WeightedGauc


class GaucByUsers(WeightedGauc):
    """GAUC with equal weights of users."""

    title = "GAUC weighted by users"
    weighting = "users"
