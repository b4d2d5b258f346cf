"""A measure of an arm as it is stored: its value and influence values by seed."""

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
    """A measure of an arm as it is stored.

    Args:
        name: of the arm.
        key: of the measure, see `Measure.key`.
        seeds: the value of each, and all that `Store.influence` holds of it; seeds that it lacks
            the measure for are left out.
        metric: of the measure.
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
    """The smallest of the seeds' numbers under a key; infinite where none has it."""
    return min(
        (float(stored[key][0]) for stored in known.values() if key in stored), default=math.inf
    )
