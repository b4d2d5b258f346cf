"""Results of the protocol's probes: noise on logits, and permuted outcomes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from ctrbench.analysis.comparison import Arm, Arms, Measure, TablePlan
from ctrbench.analysis.measured import Influences, measured
from ctrbench.metrics import Metric, judged
from ctrbench.schema import NOISES, PERMUTED, CellRecord, noise_probe
from ctrbench.slices import Slice
from ctrbench.stats import Inference, infer, pair, standard_error
from ctrbench.stats.contrast import Contrast, Measured, user_variance
from ctrbench.stats.distributions import normal_quantile

LEVEL_OF_PERMUTED = 0.001  # level of a warning about permuted outcomes, for a whole table


@dataclass(frozen=True)
class NoiseFinding:
    """The effect on a metric of noise on a baseline's logits."""

    arm: Arm
    measure: Measure
    deviation: float  # standard deviation of the noise, in logits
    inference: Inference  # noisy minus plain; simultaneous over all findings


@dataclass(frozen=True)
class PermutedFinding:
    """A metric of an arm on permuted outcomes."""

    arm: Arm
    measure: Measure
    value: float  # mean over seeds of a metric within evaluation groups
    standard_error: float  # of one seed, because all seeds share their users


@dataclass(frozen=True)
class Probes:
    """All findings of a matrix, whether they lead to a warning or not."""

    noise: tuple[NoiseFinding, ...] = ()
    permuted: tuple[PermutedFinding, ...] = ()

    @property
    def raised(self) -> list[NoiseFinding]:
        """Return the findings in which noise improves a metric significantly."""
        return [one for one in self.noise if one.inference.low > 0]

    @property
    def ranked(self) -> list[PermutedFinding]:
        """Return the arms that differ from chance on permuted outcomes, with Bonferroni."""
        limit = -normal_quantile(LEVEL_OF_PERMUTED / 2 / max(len(self.permuted), 1))
        return [
            one
            for one in self.permuted
            if abs(one.value - (one.measure.of.chance or 0.0)) > limit * one.standard_error > 0
        ]


def influence_keys(plan: TablePlan) -> frozenset[str]:
    """Return the keys of all influence values that the table of a plan requires."""
    ranked = [Measure("gauc", slice_) for slice_ in (None, *plan.slices)]
    return frozenset(
        [measure.key for measure in plan.measures]
        + [f"{noise_probe(noise)}/{measure.key}" for noise in NOISES for measure in plan.measures]
        + [f"{PERMUTED}/{measure.key}" for measure in ranked]
    )


def probe(plan: TablePlan, arms: Arms, influences: Influences) -> Probes:
    """Return the findings of all stored probes.

    Args:
        plan: What the table shows.
        arms: The arms with their stored cells.
        influences: Influence values by cell hash and measure key.
    """
    return Probes(tuple(_noise(plan, arms, influences)), tuple(_permuted(plan, arms, influences)))


def ranked_within() -> list[Metric]:
    """Return the judged metrics that compare impressions of one evaluation group only."""
    return [one for one in judged() if one.within_groups and one.chance is not None]


def _noise(plan: TablePlan, arms: Arms, influences: Influences) -> Iterator[NoiseFinding]:
    found: list[tuple[Arm, Measure, float, Contrast]] = []
    for arm in arms.baselines.values():
        for measure in plan.measures:
            plain = _measured(arm, measure, "", influences)
            for deviation in NOISES:
                noisy = _measured(arm, measure, f"{noise_probe(deviation)}/", influences)
                contrast = pair(noisy, plain)
                if contrast is not None and not math.isnan(user_variance(contrast)):
                    found.append((arm, measure, deviation, contrast))
    inferences = infer([contrast for *_, contrast in found])
    for (arm, measure, deviation, _), inference in zip(found, inferences, strict=True):
        yield NoiseFinding(arm, measure, deviation, inference)


def _measured(arm: Arm, measure: Measure, probed: str, influences: Influences) -> Measured:
    """Return the measure under a probe, by seed; an empty name means without a probe."""
    found = {
        seed: (value, influences.get(arm.hashes[seed], {}))
        for seed, record in arm.done.items()
        if (value := _value(record, measure, probed)) is not None
    }
    return measured(arm.label, f"{probed}{measure.key}", found, measure.of)


def _value(record: CellRecord, measure: Measure, probed: str) -> float | None:
    if not probed:
        return measure.value(record)
    metrics = record.probes.get(f"{probed}{measure.key.rpartition('/')[0]}")
    return None if metrics is None else metrics.value(measure.metric)


def _permuted(plan: TablePlan, arms: Arms, influences: Influences) -> Iterator[PermutedFinding]:
    slices: tuple[Slice | None, ...] = (None, *plan.slices)
    for arm in arms.all:
        for measure in (Measure(one.name, part) for one in ranked_within() for part in slices):
            found = _measured(arm, measure, f"{PERMUTED}/", influences)
            if found.values:
                errors = [standard_error(moved) for moved in found.influence.values()]
                if not any(map(math.isnan, errors)):
                    yield PermutedFinding(arm, measure, fmean(found.values.values()), fmean(errors))
