"""Which comparisons are judged together, and what comes out for each place of the table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from ctrbench.analysis.comparison import Arm, Arms, Comparison, Measure
from ctrbench.analysis.measured import Influences, measured
from ctrbench.analysis.probes import CHANCE, Probes, probe
from ctrbench.stats import (
    Contrast,
    Inference,
    Measured,
    Share,
    infer,
    pair,
    share_of_attainable,
)
from ctrbench.stats.contrast import user_variance

CEILING = "ceiling"  # key, in place of a cell's hash, of the true click probability


@dataclass(frozen=True)
class Judged:
    """Inferences by place; a place that lacks influence values has none."""

    family: int  # comparisons that share simultaneous intervals
    found: Mapping[tuple[str, str, str], Inference]  # (arm, what it is set against, measure's key)
    shares: Mapping[tuple[str, str], Share]  # of the attainable gain: (arm, measure's key)
    probes: Probes = field(default_factory=Probes)
    below_chance: tuple[tuple[Arm, Measure, float], ...] = ()  # baselines that are no reference
    with_items: bool = False  # whether all intervals of the headline account for item variance

    def get(self, arm: Arm, reference: Arm, measure: Measure) -> Inference | None:
        """What one place says."""
        return self.found.get((arm.label, reference.label, measure.key))


def judge(plan: Comparison, arms: Arms, influences: Influences) -> Judged:
    """Judge the headline of all that is no control together; every other place by itself.

    All comparisons of a measure, controls included, inform each other's variance over seeds.
    """
    headline = Measure(plan.headline)
    weak = below_chance(plan, arms)
    unfit = {(arm.label, measure) for arm, measure, _ in weak}
    family, found, with_items = 0, {}, False
    for measure in plan.measures:
        together, alone = {}, {}
        for arm, reference, control in _pairs(plan, arms):
            if (arms.baseline(arm.column).label, measure) in unfit:
                continue
            contrast = _contrast(arm, reference, measure, influences)
            if contrast is not None and not math.isnan(user_variance(contrast)):
                place = (arm.label, reference.label, measure.key)
                judged_together = measure == headline and not control
                (together if judged_together else alone)[place] = contrast
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
    return Judged(family, found, shares, probes, weak, with_items)


def below_chance(plan: Comparison, arms: Arms) -> tuple[tuple[Arm, Measure, float], ...]:
    """Baselines whose mean over seeds lies below one half on a measure, with that mean.

    A model that ranks worse than chance is wrong by construction, and anything that dilutes it
    gains: no comparison on such a measure gets an interval or a verdict.
    """
    found = []
    for arm in arms.baselines.values():
        for measure in plan.measures:
            values = arm.values(measure).values()
            if values and fmean(values) < CHANCE:
                found.append((arm, measure, fmean(values)))
    return tuple(found)


def _shares(
    plan: Comparison, arms: Arms, influences: Influences, unfit: set[tuple[str, Measure]]
) -> dict[tuple[str, str], Share]:
    """What part of the attainable gain each arm captures, where the truth is known."""
    found = {}
    for measure in map(Measure, plan.metrics):
        value = getattr(plan.ceiling, measure.metric, None)
        moved = influences.get(CEILING, {}).get(measure.key)
        if value is None or moved is None:
            continue
        for arm in arms.cells.values():
            baseline = arms.baseline(arm.column)
            if (baseline.label, measure) in unfit:
                continue
            model = _contrast(arm, baseline, measure, influences)
            if model is None:
                continue
            stored = (float(value), influences[CEILING])
            truth = measured(CEILING, measure.key, dict.fromkeys(model.seeds, stored))
            ceiling = pair(truth, _measured(baseline, measure, influences))
            share = None if ceiling is None else share_of_attainable(model, ceiling)
            if share is not None:
                found[arm.label, measure.key] = share
    return found


def _pairs(plan: Comparison, arms: Arms) -> Iterable[tuple[Arm, Arm, bool]]:
    """Every arm with what it is set against, and whether it is a control."""
    for row in plan.rows:
        for column in plan.columns:
            arm = arms.cells[row.label, column]
            yield arm, arms.baseline(column), row.control
            for sibling in arms.siblings(row):
                yield arm, arms.cells[sibling, column], row.control


def _contrast(
    arm: Arm, reference: Arm, measure: Measure, influences: Influences
) -> Contrast | None:
    """A mode with its settings is a kind: its seeds vary alike whatever the version.

    Against a sibling, which has the mode's own draws in common, they vary in a way of their own.
    """
    ours, theirs = (_measured(one, measure, influences) for one in (arm, reference))
    against = "sibling" if reference.column else "baseline"
    return pair(ours, theirs, f"{arm.column} against {against}", against)


def _measured(arm: Arm, measure: Measure, influences: Influences) -> Measured:
    """By seed the measure and its influence values, where both are there."""
    return measured(
        arm.label,
        measure.key,
        {
            seed: (value, influences.get(arm.hashes[seed], {}))
            for seed, value in arm.values(measure).items()
        },
    )
