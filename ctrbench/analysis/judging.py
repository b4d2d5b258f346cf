"""Inference for every comparison of a table; the headline comparisons form one family."""

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

CEILING = "ceiling"  # key of the true click probability, in place of a cell hash


@dataclass(frozen=True)
class Judged:
    """The results of all comparisons. Without influence values a comparison has no inference."""

    family: int  # number of comparisons with simultaneous intervals
    deltas: Mapping[Key, Delta]
    found: Mapping[Key, Inference]
    shares: Mapping[Key, Share]  # of the attainable gain
    probes: Probes = field(default_factory=Probes)
    below_chance: tuple[tuple[Arm, Measure, float], ...] = ()  # baselines with their mean
    with_items: bool = False  # whether all headline intervals account for item variance

    def get(self, comparison: Comparison, measure: Measure) -> Inference | None:
        """Return the inference of one comparison.

        Args:
            comparison: A comparison of the matrix.
            measure: The measure.
        """
        return self.found.get((comparison, measure))


def judge(plan: TablePlan, arms: Arms, influences: Influences) -> Judged:
    """Return the results of all comparisons.

    The headline comparisons without controls form one family. Every other interval is pointwise.
    Seed variance is estimated from all comparisons of a measure, including controls, but without
    imported predictions, whose intervals depend on their own seeds only.

    Args:
        plan: What the table shows.
        arms: The arms with their stored cells.
        influences: Influence values by cell hash and measure key.
    """
    headline = Measure(plan.headline)
    weak = below_chance(plan, arms)
    excluded = {(arm, measure) for arm, measure, _ in weak}
    family, with_items = 0, False
    found: dict[Key, Inference] = {}
    for measure in plan.measures:
        together: dict[Key, Contrast] = {}
        alone: dict[Key, Contrast] = {}
        for comparison in arms.comparisons:
            contrast = _judgeable(arms, comparison, measure, influences, excluded)
            if contrast is not None:
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
            (found[place],) = infer([contrast], auxiliary=beside)
        for comparison in arms.of_imported():
            contrast = _judgeable(arms, comparison, measure, influences, excluded)
            if contrast is not None:
                (found[comparison, measure],) = infer([contrast])
    shares = _shares(plan, arms, influences, excluded)
    probes = probe(plan, arms, influences)
    return Judged(family, deltas(plan, arms), found, shares, probes, weak, with_items)


def deltas(plan: TablePlan, arms: Arms) -> dict[Key, Delta]:
    """Return the mean paired difference of every comparison on every measure, if defined.

    Args:
        plan: What the table shows.
        arms: The arms with their stored cells.
    """
    found = {
        (one, measure): paired_delta(
            arms.arm(one).values(measure), arms.reference(one).values(measure)
        )
        for measure in plan.measures
        for one in (*arms.comparisons, *arms.of_imported())
    }
    return {key: delta for key, delta in found.items() if delta is not None}


def below_chance(plan: TablePlan, arms: Arms) -> tuple[tuple[Arm, Measure, float], ...]:
    """Return baselines whose mean over seeds is below chance on a measure, with that mean.

    Any change that weakens such a model improves its metric. Comparisons with it on such a measure
    therefore have no interval and no verdict.

    Args:
        plan: What the table shows.
        arms: The arms with their stored cells.
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
    plan: TablePlan, arms: Arms, influences: Influences, excluded: set[tuple[Arm, Measure]]
) -> dict[Key, Share]:
    """Return the share of the attainable gain of each arm, if the true probability is known."""
    found: dict[Key, Share] = {}
    for measure in map(Measure, plan.metrics):
        value = plan.ceiling and plan.ceiling.value(measure.metric)
        moved = influences.get(CEILING, {}).get(measure.key)
        if value is None or moved is None:
            continue
        for comparison in arms.against_baseline():
            baseline = arms.reference(comparison)
            if (baseline, measure) in excluded:
                continue
            model = _contrast(arms, comparison, measure, influences)
            if model is None:
                continue
            stored = (float(value), influences[CEILING])
            truth = measured(CEILING, measure.key, dict.fromkeys(model.seeds, stored), measure.of)
            ceiling = pair(truth, arm_measured(baseline, measure, influences))
            share = None if ceiling is None else share_of_attainable(model, ceiling)
            if share is not None:
                found[comparison, measure] = share
    return found


def _judgeable(
    arms: Arms,
    comparison: Comparison,
    measure: Measure,
    influences: Influences,
    excluded: set[tuple[Arm, Measure]],
) -> Contrast | None:
    """Return the contrast of a comparison; None if it has no interval."""
    if (arms.baselines[comparison.column.trained], measure) in excluded:
        return None
    contrast = _contrast(arms, comparison, measure, influences)
    return None if contrast is None or math.isnan(user_variance(contrast)) else contrast


def _contrast(
    arms: Arms, comparison: Comparison, measure: Measure, influences: Influences
) -> Contrast | None:
    """Return the contrast of a comparison; None without common seeds.

    Contrasts of one mode and settings are of one kind, because their seed variance does not depend
    on the version. Comparisons with siblings are a kind of their own, because a sibling shares the
    random draws of the mode.
    """
    sides = (arms.arm(comparison), arms.reference(comparison))
    ours, theirs = (arm_measured(one, measure, influences) for one in sides)
    against = "baseline" if comparison.reference is None else "sibling"
    return pair(ours, theirs, f"{comparison.column.label} against {against}", against)


def arm_measured(arm: Arm, measure: Measure, influences: Influences) -> Measured:
    """Return the measure of an arm with its influence values, by seed.

    Args:
        arm: Any arm of the table.
        measure: The measure.
        influences: By cell hash and measure.
    """
    return measured(
        arm.label,
        measure.key,
        {
            seed: (value, influences.get(arm.hashes[seed], {}))
            for seed, value in arm.values(measure).items()
        },
        measure.of,
    )
