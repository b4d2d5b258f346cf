"""The difference of two arms over seeds; the sampling of users is not in its standard error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Delta:
    """A mean paired difference."""

    mean_pp: float  # percentage points
    standard_error_pp: float | None  # over seeds only; None: one seed has none
    seeds: tuple[int, ...]  # those that both arms have


def paired_delta(values: Mapping[int, float], reference: Mapping[int, float]) -> Delta | None:
    """Mean over seeds of value minus reference of the same seed; None if they share no seed.

    Args:
        values: seed -> metric of the arm, a fraction.
        reference: seed -> the same metric of what it is set against.

    >>> paired_delta({0: .625, 1: .75, 2: .5}, {0: .5, 1: .5})
    Delta(mean_pp=18.75, standard_error_pp=6.25, seeds=(0, 1))
    """
    seeds = tuple(sorted(values.keys() & reference.keys()))
    if not seeds:
        return None
    differences = [100 * (values[seed] - reference[seed]) for seed in seeds]
    error = stdev(differences) / math.sqrt(len(seeds)) if len(seeds) > 1 else None
    return Delta(fmean(differences), error, seeds)
