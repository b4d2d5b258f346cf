"""How many seeds, or how many test users and items, it takes to see an effect."""

from __future__ import annotations

from dataclasses import dataclass

from ctrbench.stats.distributions import normal_quantile, student_quantile
from ctrbench.stats.family import CONFIDENCE, POWER, Inference

MOST_SEEDS = 1000  # beyond, nobody trains


@dataclass(frozen=True)
class Need:
    """What one comparison requires to be significant with a power of 80 %."""

    seeds: int | None  # None: not even MOST_SEEDS are enough with these test users
    users: float  # times as many test users (and items) as now, below which no seeds are enough
    smallest_effect: float  # that this test set can show at any number of seeds

    @property
    def hidden(self) -> bool:
        """Whether no number of seeds shows the effect on this test set."""
        return self.users > 1


def need(inference: Inference, effect: float, comparisons: int = 1) -> Need:
    """Seeds and users for an effect, from the variance that stored seeds have shown.

    Args:
        inference: of at least two seeds.
        effect: > 0, a fraction.
        comparisons: judged together; Bonferroni's bound stands in for their joint distribution.
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
        reach = student_quantile(degrees, 1 - alpha / 2) + student_quantile(degrees, POWER)
        if reach * total**0.5 <= effect:
            seeds = tried
            break
    return Need(seeds, (smallest / effect) ** 2, smallest)
