"""The number of seeds, or of test users and items, required to detect an effect."""

from __future__ import annotations

from dataclasses import dataclass

from ctrbench.stats.distributions import normal_quantile, student_quantile
from ctrbench.stats.family import POWER, Inference
from ctrbench.stats.student import CONFIDENCE

MOST_SEEDS = 1000  # more are not practical


@dataclass(frozen=True)
class Need:
    """What a comparison requires to detect an effect with a power of 80 %."""

    seeds: int | None  # None: more than MOST_SEEDS on this test set
    users: float  # factor on test users (and items); above 1, no number of seeds suffices
    smallest_effect: float  # minimum detectable effect of this test set with unlimited seeds

    @property
    def hidden(self) -> bool:
        """Whether no number of seeds detects the effect on this test set."""
        return self.users > 1


def need(inference: Inference, effect: float, comparisons: int = 1) -> Need:
    """Return the seeds and users required for an effect, from the variance of stored seeds.

    Args:
        inference: From at least two seeds.
        effect: > 0, a fraction.
        comparisons: Size of the family, >= 1; Bonferroni's bound replaces the joint distribution.
    """
    spread, count = inference.variance, len(inference.seeds)
    one_seed = spread.seeds * count  # variance of a single seed's difference
    alpha = (1 - CONFIDENCE) / comparisons
    infinite = normal_quantile(1 - alpha / 2) + normal_quantile(POWER)
    smallest = infinite * spread.sampled**0.5
    seeds = None
    for tried in range(2, MOST_SEEDS + 1) if smallest < effect else ():
        total = spread.sampled + one_seed / tried
        degrees = total**2 / ((one_seed / tried) ** 2 / (tried - 1) or 1e-300)
        factor = student_quantile(degrees, 1 - alpha / 2) + student_quantile(degrees, POWER)
        if factor * total**0.5 <= effect:
            seeds = tried
            break
    return Need(seeds, (smallest / effect) ** 2, smallest)
