"""Stored values and influence values of an arm."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ctrbench.metrics import Metric
from ctrbench.stats import Measured

Influences = Mapping[str, Mapping[str, np.ndarray]]  # cell hash -> measure's key -> (G,)


def measured(
    name: str,
    key: str,
    seeds: Mapping[int, tuple[float, Mapping[str, np.ndarray]]],
    metric: Metric,
) -> Measured:
    """Return a measure of an arm on the seeds that have influence values.

    Args:
        name: Name of the arm.
        key: Key of the measure, see `Measure.key`.
        seeds: Seed -> the value, and the arrays that `Store.influence` returns.
        metric: Metric of the measure.
    """
    known = {seed: stored for seed, (_, stored) in seeds.items() if key in stored}
    parts = {
        part: {
            seed: np.asarray(stored[f"{key}/{part}"], np.float64)
            for seed, stored in known.items()
            if f"{key}/{part}" in stored
        }
        for part in ("items", "pairs")
    }
    return Measured(
        name,
        {seed: seeds[seed][0] for seed in known},
        {seed: np.asarray(stored[key], np.float64) for seed, stored in known.items()},
        _least(known, f"{key}/worth"),
        parts["items"],
        parts["pairs"],
        _least(known, f"{key}/items_worth"),
        metric.items_each,
    )


def _least(known: Mapping[int, Mapping[str, np.ndarray]], key: str) -> float:
    """Return the smallest number under a key over seeds; infinite if no seed has it."""
    return min(
        (float(stored[key][0]) for stored in known.values() if key in stored), default=math.inf
    )
