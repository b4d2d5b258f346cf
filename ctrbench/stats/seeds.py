"""The mean difference of two arms over seeds; its standard error ignores user variance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Delta:
    """A mean paired difference."""

    mean_pp: float  # percentage points
    standard_error_pp: float | None  # over seeds only; None with one seed
    seeds: tuple[int, ...]  # common to both arms


def paired_delta(values: Mapping[int, float], reference: Mapping[int, float]) -> Delta | None:
    """Return the mean over common seeds of value minus reference; None if they share no seed.

    Args:
        values: Seed -> metric of the arm, a fraction.
        reference: Seed -> the same metric of the arm it is compared with.

    >>> paired_delta({0: .625, 1: .75, 2: .5}, {0: .5, 1: .5})
    Delta(mean_pp=18.75, standard_error_pp=6.25, seeds=(0, 1))
    """
    seeds = tuple(sorted(values.keys() & reference.keys()))
    if not seeds:
        return None
    differences = [100 * (values[seed] - reference[seed]) for seed in seeds]
    error = stdev(differences) / math.sqrt(len(seeds)) if len(seeds) > 1 else None
    return Delta(fmean(differences), error, seeds)
