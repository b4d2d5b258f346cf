"""Which comparisons are judged together, and what comes out for each place of the table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean

from ctrbench.analysis.comparison import Arm, Arms, Comparison, Measure, TablePlan
from ctrbench.analysis.measured import Influences, measured
from ctrbench.analysis.probes import Probes, probe
from ctrbench.stats import (
    Contrast,
    Delta,
    Inference,
    Measured,
    Share,
    infer,
    pair,
    paired_delta,
    share_of_attainable,
)
from ctrbench.stats.contrast import user_variance

Key = tuple[Comparison, Measure]

CEILING = "ceiling"  # key, in place of a cell's hash, of the true click probability


@dataclass(frozen=True)
class Judged:
    """What each comparison says; one that lacks influence values has no inference."""

    family: int  # comparisons that share simultaneous intervals
    deltas: Mapping[Key, Delta]
    found: Mapping[Key, Inference]
    shares: Mapping[Key, Share]  # of the attainable gain
    probes: Probes = field(default_factory=Probes)
    below_chance: tuple[tuple[Arm, Measure, float], ...] = ()  # baselines that are no reference
    with_items: bool = False  # whether all intervals of the headline account for item variance

    def get(self, comparison: Comparison, measure: Measure) -> Inference | None:
        """Return the inference of one comparison.

        Args:
            comparison: of the matrix.
            measure: on which it is judged.
        """
        return self.found.get((comparison, measure))


def judge(plan: TablePlan, arms: Arms, influences: Influences) -> Judged:
    """Judge the headline of all that is no control together; every other comparison by itself.

    All comparisons of a measure, controls included, inform each other's variance over seeds.

    Args:
        plan: that names the measures and the headline.
        arms: with their stored cells.
        influences: by cell hash and measure; a cell without any has no inference.
    """
    headline = Measure(plan.headline)
    weak = below_chance(plan, arms)
    unfit = {(arm, measure) for arm, measure, _ in weak}
    family, with_items = 0, False
    found: dict[Key, Inference] = {}
    for measure in plan.measures:
        together: dict[Key, Contrast] = {}
        alone: dict[Key, Contrast] = {}
        for comparison in arms.comparisons:
            if (arms.baselines[comparison.column.trained], measure) in unfit:
                continue
            contrast = _contrast(arms, comparison, measure, influences)
            if contrast is not None and not math.isnan(user_variance(contrast)):
                judged_together = measure == headline and not comparison.control
                (together if judged_together else alone)[comparison, measure] = contrast
        everything = [*together.values(), *alone.values()]
        family += len(together)
        judged = infer(list(together.values()), plan.looks, list(alone.values()))
        found |= zip(together, judged, strict=True)
        if measure == headline:
            with_items = all(one.variance.with_items for one in judged or found.values())
        for place, contrast in alone.items():
            beside = [other for other in everything if other is not contrast]
            (found[place],) = infer([contrast], beside=beside)
    shares = _shares(plan, arms, influences, unfit)
    probes = probe(plan, arms, influences)
    return Judged(family, deltas(plan, arms), found, shares, probes, weak, with_items)


def deltas(plan: TablePlan, arms: Arms) -> dict[Key, Delta]:
    """Return the mean paired difference of every comparison on every measure, where it has one.

    Args:
        plan: that names the measures.
        arms: with their stored cells.
    """
    found = {
        (one, measure): paired_delta(
            arms.arm(one).values(measure), arms.reference(one).values(measure)
        )
        for measure in plan.measures
        for one in arms.comparisons
    }
    return {key: delta for key, delta in found.items() if delta is not None}


def below_chance(plan: TablePlan, arms: Arms) -> tuple[tuple[Arm, Measure, float], ...]:
    """Return baselines whose mean over seeds lies below chance on a measure, with that mean.

    A model that ranks worse than chance is wrong by construction, and anything that dilutes it
    gains: no comparison on such a measure gets an interval or a verdict.

    Args:
        plan: that names the measures.
        arms: with their stored cells.
    """
    found: list[tuple[Arm, Measure, float]] = []
    for arm in arms.baselines.values():
        for measure in plan.measures:
            values = arm.values(measure).values()
            chance = measure.of.chance
            if values and chance is not None and fmean(values) < chance:
                found.append((arm, measure, fmean(values)))
    return tuple(found)


def _shares(
    plan: TablePlan, arms: Arms, influences: Influences, unfit: set[tuple[Arm, Measure]]
) -> dict[Key, Share]:
    """What part of the attainable gain each arm captures, where the truth is known."""
    found: dict[Key, Share] = {}
    for measure in map(Measure, plan.metrics):
        value = plan.ceiling and plan.ceiling.value(measure.metric)
        moved = influences.get(CEILING, {}).get(measure.key)
        if value is None or moved is None:
            continue
        for comparison in arms.against_baseline():
            baseline = arms.reference(comparison)
            if (baseline, measure) in unfit:
                continue
            model = _contrast(arms, comparison, measure, influences)
            if model is None:
                continue
            stored = (float(value), influences[CEILING])
            truth = measured(CEILING, measure.key, dict.fromkeys(model.seeds, stored), measure.of)
            ceiling = pair(truth, _measured(baseline, measure, influences))
            share = None if ceiling is None else share_of_attainable(model, ceiling)
            if share is not None:
                found[comparison, measure] = share
    return found


def _contrast(
    arms: Arms, comparison: Comparison, measure: Measure, influences: Influences
) -> Contrast | None:
    """A mode with its settings is a kind: its seeds vary alike whatever the version.

    Against a sibling, which has the mode's own draws in common, they vary in a way of their own.
    """
    sides = (arms.arm(comparison), arms.reference(comparison))
    ours, theirs = (_measured(one, measure, influences) for one in sides)
    against = "baseline" if comparison.reference is None else "sibling"
    return pair(ours, theirs, f"{comparison.column.label} against {against}", against)


def _measured(arm: Arm, measure: Measure, influences: Influences) -> Measured:
    """By seed the measure and its influence values, where both are there."""
    return measured(
        arm.label,
        measure.key,
        {
            seed: (value, influences.get(arm.hashes[seed], {}))
            for seed, value in arm.values(measure).items()
        },
        measure.of,
    )
